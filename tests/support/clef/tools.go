//go:build tools

// Package clef pins the Clef release that Covey's remote signer is tested against.
package clef

import _ "github.com/ethereum/go-ethereum/cmd/clef"
