//go:build tools

// Package kubo pins the Kubo release that Covey's storage tests run against.
package kubo

import _ "github.com/ipfs/kubo/cmd/ipfs"
