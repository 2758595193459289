// Birdring rings decoys: every account that looks at a decoy profile gets its
// own copy of its pictures and links, and when a copy turns up on an external
// site, the ring names the account it was served to.
//
//	main.go    calls internal/cli
//	canary/    what we plant: decoys, handles, pictures and the rings in them
//	beacon/    how it comes back: DNS, HTTP, crawling, finding, decoding
//	registry/  what we remember and conclude
//	internal/  the shell: commands, console, demo
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"birdring/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
