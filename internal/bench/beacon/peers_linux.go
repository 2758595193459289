package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const benchZone = "t.example.net"

// The core of the servers and the core of the load.
const (
	serverCore = 0
	loadCore   = 1
)

// pin moves the calling thread to a core; its children start there. The caller
// has locked the goroutine to the thread.
func pin(core int) error {
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("move to core %d: %w", core, err)
	}
	return nil
}

// child is a server in a process of its own.
type child struct {
	cmd *exec.Cmd
}

// start starts a command on the core of the servers.
func start(cmd *exec.Cmd) (*child, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := pin(serverCore); err != nil {
		return nil, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	err := cmd.Start()
	if err := errors.Join(err, pin(loadCore)); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return &child{cmd}, nil
}

// kill ends the process and those it started at once, and waits for it.
func (c *child) kill() {
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) // has ended already
	_ = c.cmd.Wait()                                      // killed
}

// ours starts this program again as a server and reads what it says first.
func ours(ctx context.Context, role string, said any, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"-role", role}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c, err := start(cmd)
	if err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, said)
	}
	if err != nil {
		c.kill()
		return nil, fmt.Errorf("our %s server did not start: %w", role, err)
	}
	return c, nil
}

// need finds a foreign program, also where Debian puts servers.
func need(name, pkg string) (string, error) {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		path := filepath.Join(dir, name)
		if st, err := os.Stat(path); err == nil && st.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed: apt-get install %s", name, pkg)
}

// nsd starts NSD with a zone in which every name exists, one server on one core, nothing logged.
func nsd(ctx context.Context, dir string) (*child, string, error) {
	path, err := need("nsd", "nsd")
	if err != nil {
		return nil, "", err
	}
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	zone := `$ORIGIN ` + benchZone + `.
@ 3600 SOA ns1 hostmaster 1 14400 3600 1209600 60
@ 3600 NS ns1
@ 3600 NS ns2
ns1 3600 A 127.0.0.1
ns2 3600 A 127.0.0.2
* 10 A 127.0.0.1
`
	config := fmt.Sprintf(`server:
  ip-address: 127.0.0.1@%d
  server-count: 1
  do-ip6: no
  username: ""
  zonesdir: %q
  database: ""
  pidfile: %q
  xfrdfile: %q
  zonelistfile: %q
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: %q
  zonefile: "zone"
`, port, dir, dir+"/nsd.pid", dir+"/xfrd", dir+"/zone.list", benchZone)
	if err := errors.Join(os.WriteFile(dir+"/zone", []byte(zone), 0o644), os.WriteFile(dir+"/nsd.conf", []byte(config), 0o644)); err != nil {
		return nil, "", err
	}
	cmd := exec.CommandContext(ctx, path, "-d", "-c", dir+"/nsd.conf")
	c, err := start(cmd)
	if err != nil {
		return nil, "", err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	if err := untilDNS(addr); err != nil {
		c.kill()
		return nil, "", err
	}
	return c, addr, nil
}

// untilDNS waits until a name server answers.
func untilDNS(addr string) error {
	q, err := newQueries([]string{strings.Repeat("x", 28)})
	if err != nil {
		return err
	}
	for range 50 {
		if a, err := closedLoop(addr, q, 100*time.Millisecond, nil); err == nil && a.got > 0 {
			return nil
		}
	}
	return fmt.Errorf("nothing answers at %s", addr)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
