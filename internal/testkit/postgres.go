package testkit

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// PostgreSQL is a server of its own: made from the machine's binaries in a
// temporary folder, reached through a socket in it, so that no port is taken. It
// ends with the test and, should the process be killed, with the process.
type PostgreSQL struct {
	dir, bin string
	settings []string
	remove   string // folder to remove when the server ends
	as       *syscall.SysProcAttr
	cmd      *exec.Cmd
	leash    io.Closer // closed, the server stops
	n        atomic.Int64
}

// Postgres returns the URL of a new empty database on a server that all tests of
// the process share. It does not wait for the disk; a test that pulls the plug
// starts its own with StartPostgres. Where there is no PostgreSQL the test is
// skipped, or fails with BIRDRING_REQUIRE=all.
func Postgres(t testing.TB) string {
	t.Helper()
	bin := postgresBinaries(t)
	shared.once.Do(func() { shared.server, shared.err = launch(bin, true, "fsync=off", "full_page_writes=off") })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server.Database(t)
}

var shared struct {
	once   sync.Once
	server *PostgreSQL
	err    error
}

// StartPostgres starts a server for one test, with settings such as "fsync=off".
func StartPostgres(t testing.TB, settings ...string) *PostgreSQL {
	t.Helper()
	p, err := launch(postgresBinaries(t), false, settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Stop(), os.RemoveAll(p.dir)); err != nil {
			t.Error(err)
		}
	})
	return p
}

// postgresBinaries is the folder of the newest server installed.
func postgresBinaries(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		t.Fatal(err)
	}
	if len(found) > 0 {
		slices.SortFunc(found, func(a, b string) int { return serverVersion(a) - serverVersion(b) })
		return filepath.Dir(found[len(found)-1])
	}
	return filepath.Dir(Tool(t, "initdb"))
}

func serverVersion(path string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	if err != nil {
		return 0
	}
	return n
}

// launch makes a cluster and starts it.
func launch(bin string, temporary bool, settings ...string) (*PostgreSQL, error) {
	as, uid, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/tmp", "birdring-pg-") // a socket's path is short
	if err != nil {
		return nil, err
	}
	p := &PostgreSQL{dir: dir, bin: bin, settings: settings, as: as}
	if temporary {
		p.remove = dir
	}
	if uid >= 0 {
		err = os.Chown(dir, uid, -1)
	}
	if err == nil {
		err = p.run("initdb", "-D", p.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--data-checksums")
	}
	if err == nil {
		err = p.Start()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return p, nil
}

// unprivileged is another user to run as where we are root, whom PostgreSQL refuses.
func unprivileged() (*syscall.SysProcAttr, int, error) {
	if os.Getuid() != 0 {
		return &syscall.SysProcAttr{}, -1, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, 0, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, 0, err
	}
	gid, err := strconv.Atoi(u.Gid)
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, uid, err
}

func (p *PostgreSQL) data() string { return filepath.Join(p.dir, "data") }

func (p *PostgreSQL) run(name string, args ...string) error {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = p.dir, p.as
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// keep runs a server until its standard input ends, which it does with us, and
// then removes the folder $0 unless that is empty. The shell gives commands it
// does not wait for no input, so the input is kept as 3.
const keep = `exec 3<&0; "$@" & pid=$!; { cat <&3; kill -INT $pid; } >/dev/null 2>&1 & wait $pid; [ -z "$0" ] || rm -rf "$0"`

// Start starts the server and waits until it answers.
func (p *PostgreSQL) Start() error {
	args := []string{
		"-c", keep, p.remove, filepath.Join(p.bin, "postgres"), "-D", p.data(), "-k", p.dir,
		"-c", "listen_addresses=", "-c", "max_connections=100", "-c", "shared_buffers=64MB", "-c", "logging_collector=off",
	}
	for _, s := range p.settings {
		args = append(args, "-c", s)
	}
	p.cmd = exec.Command("/bin/sh", args...)
	p.cmd.Dir, p.cmd.SysProcAttr = p.dir, p.as
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if p.leash, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	return p.answers(30 * time.Second)
}

func (p *PostgreSQL) answers(within time.Duration) error {
	var err error
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(10 * time.Millisecond) { // another process
		if err = p.Exec("postgres", "SELECT 1"); err == nil {
			return nil
		}
	}
	text, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	return fmt.Errorf("PostgreSQL does not answer: %w: %s", err, bytes.TrimSpace(text))
}

// Stop shuts the server down at once, rolling back what is under way.
func (p *PostgreSQL) Stop() error {
	if p.cmd == nil {
		return nil
	}
	err := p.leash.Close()
	p.cmd.Wait() // its exit code is that of a killed server
	p.cmd = nil
	return err
}

// Kill ends the server as a power cut would: no process of it says good-bye.
func (p *PostgreSQL) Kill() error {
	pid, err := os.ReadFile(filepath.Join(p.data(), "postmaster.pid"))
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(pid), "\n")
	n, err := strconv.Atoi(first)
	if err != nil {
		return err
	}
	if err := syscall.Kill(n, syscall.SIGQUIT); err != nil {
		return err
	}
	p.cmd.Wait()
	p.cmd = nil
	return p.leash.Close()
}

// URL is that of a database.
func (p *PostgreSQL) URL(database string) string {
	return "postgres://postgres@/" + database + "?host=" + url.QueryEscape(p.dir)
}

// Database makes an empty database and returns its URL.
func (p *PostgreSQL) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", p.n.Add(1))
	if err := p.Exec("postgres", "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return p.URL(name)
}

// PostgresCopy is Postgres with the contents of another of its databases, to
// which nobody is connected.
func PostgresCopy(t testing.TB, of string) string {
	t.Helper()
	u, err := url.Parse(of)
	if err != nil {
		t.Fatal(err)
	}
	p := shared.server
	name := fmt.Sprintf("test%d", p.n.Add(1))
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := p.Exec("postgres", "CREATE DATABASE "+name+" TEMPLATE "+strings.TrimPrefix(u.Path, "/")+" STRATEGY file_copy")
		if err == nil {
			return p.URL(name)
		}
		if time.Now().After(end) || !strings.Contains(err.Error(), "55006") { // a session that was closed is still leaving
			t.Fatal(err)
		}
	}
}

// Dir is where the server's files are.
func (p *PostgreSQL) Dir() string { return p.dir }

// Exec runs one statement in a database.
func (p *PostgreSQL) Exec(database, statement string) error {
	db, err := sql.Open("pgx", p.URL(database))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(context.Background(), statement)
	return errors.Join(err, db.Close())
}
