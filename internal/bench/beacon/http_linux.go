package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"birdring/beacon"
	"birdring/beacon/journal"
	"birdring/canary"
	"birdring/canary/ring"
	"birdring/internal/demo/paint"
)

const bodySize = 200 << 10

// serveHTTP starts our HTTP beacon, plain and with TLS.
func serveHTTP(ctx context.Context, keys *canary.Keyring, j *journal.Journal, dir string) (said, error) {
	data, err := os.ReadFile(filepath.Join(dir, "picture.brp"))
	if err != nil {
		return said{}, err
	}
	p, err := canary.UnmarshalPicture(data)
	if err != nil {
		return said{}, err
	}
	renderer, err := canary.NewRenderer(p, keys.PictureKey(p.Epoch, "bench"))
	if err != nil {
		return said{}, err
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		return said{}, err
	}
	hits := beacon.NewHTTP(beacon.HTTPConfig{
		Keyring: keys, Stats: &beacon.Stats{},
		Record: func(_ context.Context, h beacon.Hit) error {
			rec, err := h.MarshalBinary()
			if err != nil {
				return err
			}
			return j.Append(rec)
		},
		Rendition: func(dst []byte, _ uint32, v canary.Viewer) ([]byte, error) { return renderer.Append(dst, v), nil },
	})
	var hello said
	for _, c := range []struct {
		addr   *string
		config *tls.Config
	}{{&hello.HTTP, nil}, {&hello.TLS, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}}} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return said{}, err
		}
		front, err := beacon.NewFront(hits, beacon.NewServer(hits), c.config)
		if err != nil {
			return said{}, err
		}
		*c.addr = l.Addr().String()
		go front.Serve(l) // ends with the process
		context.AfterFunc(ctx, func() { _ = l.Close() })
	}
	return hello, nil
}

// benchPicture prepares a painted photo whose renditions are about 200 kB.
func benchPicture(dir string, keys *canary.Keyring) (size int, err error) {
	edge := 900.0
	for try := 0; ; try++ {
		p, _, err := canary.Prepare(paint.Scene(6, int(edge), int(edge*3/4)), canary.PrepareOptions{
			ID: "bench", Num: 1, Code: ring.D, Epoch: keys.Epoch(), Key: keys.PictureKey(keys.Epoch(), "bench"),
		})
		if err != nil {
			return 0, err
		}
		if size = p.Size(); math.Abs(float64(size)/bodySize-1) < 0.1 || try == 6 {
			data, err := p.MarshalBinary()
			if err != nil {
				return 0, err
			}
			return size, os.WriteFile(filepath.Join(dir, "picture.brp"), data, 0o600)
		}
		edge *= math.Sqrt(bodySize / float64(size))
	}
}

// benchCert makes a certificate that nobody checks.
func benchCert(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644),
		os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o644),
	)
}

// nginx starts nginx with one worker: a pixel with an access log, the same with
// TLS, and the bytes of renditions by sendfile.
func nginx(ctx context.Context, dir string) (c *child, plain, secure string, err error) {
	path, err := need("nginx", "nginx-light")
	if err != nil {
		return nil, "", "", err
	}
	ports := [2]int{}
	for i := range ports {
		if ports[i], err = freePort(); err != nil {
			return nil, "", "", err
		}
	}
	conf := fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/nginx.pid; error_log stderr crit; user root;
events { worker_connections 1024; }
http {
  log_format hit '$msec $remote_addr:$remote_port $request_method $host $uri $status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_origin"';
  access_log %[1]s/access.log hit buffer=64k flush=1s;
  keepalive_requests 1000000000; keepalive_timeout 60s; sendfile on; tcp_nopush on; types { image/jpeg jpg; } server_tokens off;
  client_body_temp_path %[1]s/t1; proxy_temp_path %[1]s/t2; fastcgi_temp_path %[1]s/t3; uwsgi_temp_path %[1]s/t4; scgi_temp_path %[1]s/t5;
  server {
    listen 127.0.0.1:%[2]d; listen 127.0.0.1:%[3]d ssl; ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem;
    root %[1]s/www;
    location /p/ { empty_gif; add_header Cache-Control "private, no-store"; add_header X-Content-Type-Options nosniff; add_header X-Robots-Tag noindex; }
    location /m/ { add_header Cache-Control "private, no-store"; add_header X-Content-Type-Options nosniff; add_header X-Robots-Tag noindex; }
  }
}
`, dir, ports[0], ports[1])
	if err := os.WriteFile(dir+"/nginx.conf", []byte(conf), 0o644); err != nil {
		return nil, "", "", err
	}
	cmd := exec.CommandContext(ctx, path, "-c", dir+"/nginx.conf", "-p", dir)
	cmd.Stderr = os.Stderr
	if c, err = start(cmd); err != nil {
		return nil, "", "", err
	}
	plain, secure = fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	for range 100 {
		if conn, err := net.Dial("tcp", plain); err == nil {
			return c, plain, secure, conn.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.kill()
	return nil, "", "", errors.New("nginx does not listen")
}

// webPair are our server and nginx with what is asked of each.
type webPair struct {
	keys               *canary.Keyring
	our, peer          *child
	hello              said
	plain, secure      string
	pixels, pictures   [][]byte // of ours
	peerPixel, peerJPG [][]byte
	size               int
	worker             int // nginx's process that answers
}

func (b *bench) webPair(ctx context.Context) (*webPair, error) {
	dir := filepath.Join(b.dir, "web")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	keys, err := benchKeys(dir)
	if err != nil {
		return nil, err
	}
	w := &webPair{}
	if w.size, err = benchPicture(dir, keys); err != nil {
		return nil, err
	}
	if err := errors.Join(benchCert(dir), os.Chmod(b.dir, 0o755)); err != nil {
		return nil, err
	}
	w.keys = keys
	for i := range copies {
		v := canary.FirstViewer + canary.Viewer(i)
		w.pixels = append(w.pixels, request(beacon.PixelPath+keys.Seal(canary.Token{Kind: canary.KindPixel, Object: 1, Viewer: v})+".gif"))
		w.pictures = append(w.pictures, w.picture(v))
	}
	w.peerPixel = [][]byte{request("/p/" + strings.Repeat("a", canary.TokenLength) + ".gif")}
	if w.our, err = ours(ctx, "http", &w.hello, "-dir", dir); err != nil {
		return nil, err
	}
	if err := w.fetch(filepath.Join(dir, "www", "m")); err != nil {
		w.our.kill()
		return nil, err
	}
	if w.peer, w.plain, w.secure, err = nginx(ctx, dir); err != nil {
		w.our.kill()
		return nil, err
	}
	if w.worker, err = onlyChild(w.peer.cmd.Process.Pid); err != nil {
		w.kill()
		return nil, err
	}
	return w, nil
}

// copies is how many viewers ask again and again.
const copies = 256

func (w *webPair) picture(v canary.Viewer) []byte {
	return request(beacon.PicturePath + w.keys.Seal(canary.Token{Kind: canary.KindPicture, Object: 1, Viewer: v}) + ".jpg")
}

// fresh are requests of n other viewers.
func (w *webPair) fresh(n int) (out [][]byte) {
	for i := range n {
		out = append(out, w.picture(canary.FirstViewer+copies+canary.Viewer(i)))
	}
	return out
}

// firstFile is the first rendition as a file of nginx's.
const firstFile = "0.jpg"

// fetch fetches every rendition and writes it where nginx finds it.
func (w *webPair) fetch(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for i, r := range w.pictures {
		resp, err := http.Get("http://" + w.hello.HTTP + strings.Fields(string(r))[1])
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		name := strconv.Itoa(i) + ".jpg"
		if err := errors.Join(err, resp.Body.Close(), os.WriteFile(filepath.Join(dir, name), body, 0o644)); err != nil {
			return err
		}
		w.peerJPG = append(w.peerJPG, request("/m/"+name))
	}
	return nil
}

func (w *webPair) kill() {
	w.our.kill()
	w.peer.kill()
}

func measureHTTP(ctx context.Context, b *bench) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := pin(loadCore); err != nil {
		return err
	}
	w, err := b.webPair(ctx)
	if err != nil {
		return err
	}
	defer w.kill()
	var ratio, secure, our, peer []float64
	for round := range b.rounds {
		p, _, err1 := httpLoad(w.plain, w.peerPixel, b.each)
		o, _, err2 := httpLoad(w.hello.HTTP, w.pixels, b.each)
		ps, err3 := secureLoad(w.secure, w.peerPixel, b.each)
		os_, err4 := secureLoad(w.hello.TLS, w.pixels, b.each)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return err
		}
		progress("  round %d: nginx %.0f/s, ours %.0f/s; with TLS %.0f/s and %.0f/s", round+1, p, o, ps, os_)
		ratio, secure, our, peer = append(ratio, o/p), append(secure, os_/ps), append(our, o), append(peer, p)
	}
	b.add(row{name: "HTTP/1.1, hit written before the reply, against nginx with log", got: median(ratio), target: 0.8, detail: fmt.Sprintf("%.0f/s and %.0f/s", median(our), median(peer))})
	b.add(row{name: "the same with TLS, against nginx with TLS", got: median(secure), print: true})
	return nil
}

// measureBody compares renditions with sendfile of the same bytes: each of them is
// a file of nginx's. One file sent again and again stays in the caches of sender
// and receiver; that is printed as well, and what a server reaches that does
// nothing but write one answer: no copy can do better against sendfile.
func measureBody(ctx context.Context, b *bench) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := pin(loadCore); err != nil {
		return err
	}
	w, err := b.webPair(ctx)
	if err != nil {
		return err
	}
	defer w.kill()
	var hello said
	rest, err := ours(ctx, "rest", &hello, "-dir", filepath.Join(b.dir, "web"))
	if err != nil {
		return err
	}
	defer rest.kill()
	kinds := []*bodyLoad{
		{name: "nginx, one file", pid: w.worker, addr: w.plain, requests: w.peerJPG[:1]},
		{name: "ours", pid: w.our.cmd.Process.Pid, addr: w.hello.HTTP, requests: w.pictures},
		{name: fmt.Sprintf("nginx, %d files", copies), pid: w.worker, addr: w.plain, requests: w.peerJPG},
		{name: "ours, first fetches", pid: w.our.cmd.Process.Pid, addr: w.hello.HTTP, requests: w.fresh(1 << 17), once: true},
		{name: "bytes at rest", pid: rest.cmd.Process.Pid, addr: hello.HTTP, requests: w.peerJPG[:1]},
	}
	for round := range b.rounds {
		progress("  round %d", round+1)
		for _, k := range kinds {
			if err := k.run(b.each); err != nil {
				return err
			}
		}
	}
	one, our, many, first, least := kinds[0], kinds[1], kinds[2], kinds[3], kinds[4]
	size := fmt.Sprintf("%d kB rendition", w.size>>10)
	b.add(row{name: size + ", bytes/s against nginx sendfile of the same bytes", got: our.against(many), target: 0.8, detail: our.detail() + "; " + many.detail()})
	b.add(row{name: "the same, nginx sends one and the same file", got: our.against(one), print: true, detail: one.detail()})
	b.add(row{name: "the limit of any copy: one write of bytes at rest, one file", got: least.against(one), print: true, detail: least.detail()})
	b.add(row{name: "every copy for the first time (SHA-256 and all), same bytes", got: first.against(many), print: true, detail: first.detail()})
	return nil
}

// bodyLoad is one server in the comparison of renditions.
type bodyLoad struct {
	name             string
	pid              int
	addr             string
	requests         [][]byte
	once             bool      // no request is sent twice
	rate, used, load []float64 // bytes/s; microseconds of processor for an answer, of the server and of the load
}

func (k *bodyLoad) run(d time.Duration) error {
	server, err1 := cpuTime(k.pid)
	load, err2 := threadTime()
	answers, rate, err3 := httpLoad(k.addr, k.requests, d)
	serverEnd, err4 := cpuTime(k.pid)
	loadEnd, err5 := threadTime()
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return fmt.Errorf("%s: %w", k.name, err)
	}
	answers *= d.Seconds()
	if k.once {
		sent := int(answers) + connections
		if sent >= len(k.requests) {
			return fmt.Errorf("%s: %d requests are too few for %v", k.name, len(k.requests), d)
		}
		k.requests = k.requests[sent:]
	}
	k.rate = append(k.rate, rate)
	k.used = append(k.used, (serverEnd-server).Seconds()*1e6/answers)
	k.load = append(k.load, (loadEnd-load).Seconds()*1e6/answers)
	progress("    %s: %.2f GB/s", k.name, rate/1e9)
	return nil
}

// against is the median of the rounds' ratios.
func (k *bodyLoad) against(o *bodyLoad) float64 {
	var ratios []float64
	for i := range k.rate {
		ratios = append(ratios, k.rate[i]/o.rate[i])
	}
	return median(ratios)
}

func (k *bodyLoad) detail() string {
	return fmt.Sprintf("%s: %.2f GB/s, %.0f us of its core and %.0f us of the load's for one", k.name, median(k.rate)/1e9, median(k.used), median(k.load))
}
