package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"birdring/internal/demo/clones"
)

// CloneMain is the main function of a clone site's process.
func CloneMain(ctx context.Context) error {
	return clones.Main(ctx, os.Stdin, os.Stdout)
}

// siteProcess is a clone site as the demo sees it: a process with an address.
type siteProcess struct {
	orders clones.Orders
	trade  clones.Trade
	truth  []string // accounts that feed it; nil if nothing may be attributed
	url    string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	out    *bufio.Scanner
	copied clones.Report
}

// startSite starts a process, gives it its orders and reads its address.
func startSite(ctx context.Context, exe string, args []string, o clones.Orders) (*siteProcess, error) {
	if exe == "" {
		var err error
		if exe, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	p := &siteProcess{orders: o, cmd: exec.CommandContext(ctx, exe, args...)}
	p.cmd.Stderr = os.Stderr
	p.cmd.WaitDelay = 2 * time.Second
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a clone site: %w", err)
	}
	p.out = bufio.NewScanner(stdout)
	if err := json.NewEncoder(p.stdin).Encode(o); err != nil {
		return nil, err
	}
	first, err := p.report()
	if err != nil {
		return nil, fmt.Errorf("site %s: %w", o.Kind, err)
	}
	p.url = first.URL
	return p, nil
}

func (p *siteProcess) report() (clones.Report, error) {
	var r clones.Report
	if !p.out.Scan() {
		return r, errors.Join(errors.New("the process ended early"), p.out.Err())
	}
	err := json.Unmarshal(p.out.Bytes(), &r)
	return r, err
}

// waitCopied waits until the site has copied what it wants.
func (p *siteProcess) waitCopied(ctx context.Context) error {
	got := make(chan error, 1)
	go func() {
		var err error
		p.copied, err = p.report()
		if err == nil && p.copied.Error != "" {
			err = errors.New(p.copied.Error)
		}
		got <- err
	}()
	select {
	case err := <-got:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *siteProcess) stop() {
	p.stdin.Close()
	p.cmd.Process.Kill()
	p.cmd.Wait()
}
