//go:build tools

// Package toxiproxy pins the toxiproxy release that the tests of faults on the wire run.
package toxiproxy

import _ "github.com/Shopify/toxiproxy/v2/cmd/server"
