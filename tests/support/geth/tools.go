//go:build tools

// Package geth pins the go-ethereum release that Covey's chain tests run against.
package geth

import _ "github.com/ethereum/go-ethereum/cmd/geth"
