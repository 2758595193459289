package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Standby makes a second server that follows this one as it streams its log, and
// from then on makes this one wait for it: what is acknowledged is on both disks.
func (p *Server) Standby() (*Server, error) {
	dir, err := os.MkdirTemp("/tmp", "birdring-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: p.bin, settings: p.settings, as: p.as, uid: p.uid}
	s.n.Store(p.n.Load())
	if s.uid >= 0 {
		err = os.Chown(dir, s.uid, -1)
	}
	if err == nil {
		err = s.run("pg_basebackup", "-h", p.dir, "-U", "postgres", "-D", s.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync")
	}
	if err == nil {
		err = s.Start()
	}
	if err == nil {
		err = p.awaits(20 * time.Second)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// awaits makes the server wait for its standby, and waits until it does. The
// standby, made before, is told nothing of it and waits for nobody once promoted.
func (p *Server) awaits(within time.Duration) error {
	for _, statement := range []string{`ALTER SYSTEM SET synchronous_standby_names = '*'`, `SELECT pg_reload_conf()`} {
		if err := p.Exec("postgres", statement); err != nil {
			return err
		}
	}
	const ask = `DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync') THEN RAISE 'no standby follows'; END IF; END $$`
	var err error
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(5 * time.Millisecond) { // another process
		if err = p.Exec("postgres", ask); err == nil {
			return nil
		}
	}
	return fmt.Errorf("the standby does not follow: %w", err)
}

// Promote makes a standby a server that is written to, and waits until it is.
func (p *Server) Promote() error {
	return p.Exec("postgres", `DO $$ BEGIN IF NOT pg_promote(true, 20) THEN RAISE 'it is not promoted'; END IF; END $$`)
}

// Crash ends every process of the server with SIGKILL, as the end of its machine
// would: nobody says goodbye to anybody.
func (p *Server) Crash() error {
	pid, err := p.pid()
	if err != nil {
		return err
	}
	all := append([]int{pid}, childrenOf(pid)...)
	var errs []error
	for _, n := range all {
		if err := syscall.Kill(n, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, p.Stop())...)
}

// childrenOf lists the processes whose parent is pid; none where there is no /proc.
func childrenOf(pid int) (out []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range files {
		data, err := os.ReadFile(f) // it may have ended
		_, rest, ok := bytes.Cut(data, []byte(") "))
		fields := strings.Fields(string(rest))
		if err != nil || !ok || len(fields) < 2 || fields[1] != strconv.Itoa(pid) {
			continue
		}
		if n, err := strconv.Atoi(filepath.Base(filepath.Dir(f))); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// Either is the URL of a database on whichever of two servers may be written to.
func Either(a, b *Server, database string) string {
	return "postgres://postgres@/" + database + "?host=" + url.QueryEscape(a.dir+","+b.dir) + "&target_session_attrs=read-write"
}
