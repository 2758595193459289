package beacon

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"birdring/canary"
)

// Front answers plain GET requests for links, pictures and pixels itself: it
// reads the request, records the hit and writes header and body at once. Every
// other request, and whatever follows on its connection, goes to an http.Server
// behind it, whose answers are the same (NewHTTP) but cost more.
type Front struct {
	beacon *httpBeacon
	server *http.Server
	tls    *tls.Config // nil: plain HTTP
	others handoff
	mu     sync.Mutex // guards what follows
	conns  map[net.Conn]struct{}
	ending bool
	work   sync.WaitGroup
	date   atomic.Pointer[dateText]
}

// Limits of a connection; those of NewServer are alike.
const (
	frontHeader = 16 << 10
	headerTime  = 5 * time.Second
	writeTime   = time.Minute
	idleTime    = time.Minute
	sendBuffer  = 512 << 10
)

// NewFront puts a front before a server, which must answer the same requests
// by the handler that NewHTTP made. config is of TLS, nil for plain HTTP.
func NewFront(beacon http.Handler, server *http.Server, config *tls.Config) (*Front, error) {
	b, ok := beacon.(*httpBeacon)
	if !ok {
		return nil, errors.New("front: the handler is none of NewHTTP")
	}
	return &Front{beacon: b, server: server, tls: config, conns: map[net.Conn]struct{}{}}, nil
}

// Serve answers connections of l until Shutdown or an error.
func (f *Front) Serve(l net.Listener) error {
	f.others = handoff{addr: l.Addr(), conns: make(chan net.Conn), closed: make(chan struct{})}
	f.work.Go(func() { _ = f.server.Serve(&f.others) }) // ends with the handing over
	defer f.others.Close()
	for {
		c, err := l.Accept()
		if err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				continue
			}
			return err
		}
		if !f.enter(c) {
			return errors.Join(http.ErrServerClosed, c.Close())
		}
		f.work.Go(func() { f.conn(c) })
	}
}

// enter notes a connection; false when the server ends.
func (f *Front) enter(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ending {
		f.conns[c] = struct{}{}
	}
	return !f.ending
}

func (f *Front) leave(c net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
}

// Shutdown lets requests under way finish and ends everything else. The listener
// is closed by whoever opened it, before.
func (f *Front) Shutdown(ctx context.Context) error {
	f.mu.Lock()
	f.ending = true
	for c := range f.conns {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // closed meanwhile
	}
	f.mu.Unlock()
	err := f.server.Shutdown(ctx)
	done := make(chan struct{})
	go func() {
		f.work.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		f.mu.Lock()
		defer f.mu.Unlock()
		for c := range f.conns {
			_ = c.Close() // was given its time
		}
		err = errors.Join(err, context.Cause(ctx))
	}
	return err
}

// frontBuffers lends a connection its room.
var frontBuffers = sync.Pool{New: func() any { return &frontBuffer{in: make([]byte, frontHeader)} }}

// frontOut lends an answer its room.
var frontOut = sync.Pool{New: func() any { return new([]byte) }}

type frontBuffer struct {
	in      []byte
	ids     *hitIDs
	request frontRequest

	remote      string    // address of the requester
	read, write time.Time // until when either may take
}

// slack is how much longer than its limit a step may take: a deadline that is set
// for every step costs more than the rest of what is done about it.
const slack = 2 * time.Second

// conn answers the requests of one connection until it ends or is handed over.
func (f *Front) conn(c net.Conn) {
	raw := c
	defer f.leave(raw)
	if f.tls != nil {
		t := tls.Server(c, f.tls)
		_ = t.SetDeadline(time.Now().Add(headerTime)) // a connection that is closed says so at the next step
		if err := t.Handshake(); err != nil {
			_ = c.Close() // its requester gave up or speaks no TLS
			return
		}
		_ = t.SetDeadline(time.Time{})
		c = t
		if t.ConnectionState().NegotiatedProtocol == "h2" {
			f.others.give(c)
			return
		}
	}
	if t, ok := raw.(*net.TCPConn); ok {
		_ = t.SetWriteBuffer(sendBuffer) // smaller: a picture takes several steps
	}
	b := frontBuffers.Get().(*frontBuffer)
	defer frontBuffers.Put(b)
	if b.ids == nil {
		b.ids = newHitIDs()
	}
	b.remote, b.read, b.write = raw.RemoteAddr().String(), time.Time{}, time.Time{}
	n := 0 // bytes of b.in that are read
	for first := true; ; first = false {
		end, err := f.head(c, b, &n, first)
		if err != nil {
			_ = c.Close() // idle, gone or too slow
			return
		}
		if end < 0 || !b.request.parse(b.in[:end]) || !f.answer(c, b) {
			_ = c.SetDeadline(time.Time{})
			f.others.give(&begunConn{Conn: c, begun: bytes.Clone(b.in[:n])})
			return
		}
		if b.request.failed {
			_ = c.Close() // the requester left
			return
		}
		n = copy(b.in, b.in[end:n])
	}
}

// head reads until the end of a request's header and returns where that is, -1 if
// it is too long to be one of ours.
func (f *Front) head(c net.Conn, b *frontBuffer, n *int, first bool) (end int, err error) {
	looked := 0
	limit := headerTime
	if !first && *n == 0 {
		limit = idleTime
	}
	for {
		if i := bytes.Index(b.in[looked:*n], []byte("\r\n\r\n")); i >= 0 {
			return looked + i + 4, nil
		}
		if *n == len(b.in) {
			return -1, nil
		}
		looked = max(0, *n-3)
		if until := time.Now().Add(limit); limit != idleTime || until.After(b.read) {
			b.read = until.Add(slack)
			if err := c.SetReadDeadline(b.read); err != nil {
				return 0, err
			}
		}
		f.mu.Lock()
		ending := f.ending
		f.mu.Unlock()
		if ending {
			return 0, http.ErrServerClosed
		}
		k, err := c.Read(b.in[*n:])
		*n += k
		if err != nil {
			return 0, err
		}
		limit = headerTime
	}
}

// frontRequest is a request that Front answers.
type frontRequest struct {
	head                              bool // HEAD
	target                            string
	host, agent, referer, origin, via string
	hosts, agents, referers, origins  int
	failed                            bool // the answer could not be sent
}

// parse reads a request of the plainest form; false for every other one, which
// net/http judges.
func (r *frontRequest) parse(b []byte) bool {
	*r = frontRequest{}
	text := string(b[:len(b)-2])
	line, rest, ok := strings.Cut(text, "\r\n")
	if !ok {
		return false
	}
	switch {
	case strings.HasPrefix(line, "GET /"):
		line = line[len("GET "):]
	case strings.HasPrefix(line, "HEAD /"):
		r.head, line = true, line[len("HEAD "):]
	default:
		return false
	}
	if r.target, ok = strings.CutSuffix(line, " HTTP/1.1"); !ok {
		return false
	}
	for i := range len(r.target) {
		if c := r.target[i]; c <= ' ' || c >= 0x7f || c == '%' || c == '#' || c == '?' || c == '"' || c == '/' && i > 0 && r.target[i-1] == '/' {
			return false
		}
	}
	for rest != "" {
		var field string
		if field, rest, ok = strings.Cut(rest, "\r\n"); !ok || !r.field(field) {
			return false
		}
	}
	return r.hosts == 1 && r.agents <= 1 && r.referers <= 1 && r.origins <= 1
}

// field reads one header field; false if it may change what the answer is.
func (r *frontRequest) field(line string) bool {
	name, value, ok := strings.Cut(line, ":")
	if !ok || name == "" {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c != '-' && !alphanumeric(c) {
			return false
		}
	}
	value = strings.Trim(value, " \t")
	for i := range len(value) {
		if c := value[i]; c < ' ' || c >= 0x7f {
			return false
		}
	}
	is := func(s string) bool { return len(name) == len(s) && strings.EqualFold(name, s) }
	switch {
	case is("host"):
		r.host, r.hosts = value, r.hosts+1
		return validHost(value)
	case is("user-agent"):
		r.agent, r.agents = value, r.agents+1
	case is("referer"):
		r.referer, r.referers = value, r.referers+1
	case is("origin"):
		r.origin, r.origins = value, r.origins+1
	case is("connection"):
		return strings.EqualFold(value, "keep-alive")
	case is("x-forwarded-for"):
		if r.via != "" {
			r.via += ","
		}
		r.via += value
	case is("range"), is("expect"), is("upgrade"), is("content-length"), is("transfer-encoding"), is("trailer"), is("te"),
		is("http2-settings"), len(name) > 3 && strings.EqualFold(name[:3], "if-"):
		return false
	}
	return true
}

// validHost keeps out what net/http would refuse.
func validHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && c != '.' && c != '-' && c != ':' && c != '[' && c != ']' && c != '_' {
			return false
		}
	}
	return s != ""
}

// answer records and answers a request; false if it is none that the front
// answers, and then nothing has happened.
func (f *Front) answer(c net.Conn, b *frontBuffer) bool {
	r := &b.request
	kind, token, ok := f.beacon.open(r.target)
	if !ok {
		return false
	}
	switch {
	case kind == KindPicture && token.Kind == canary.KindPicture, kind == KindLink && token.Kind == canary.KindLink, kind == KindPixel && token.Kind == canary.KindPixel:
	default:
		return false
	}
	count := &f.beacon.Stats.HTTP
	// Lent for one answer, not for the connection: what was sent last is still in the cache.
	lent := frontOut.Get().(*[]byte)
	defer frontOut.Put(lent)
	out, sum := *lent, ""
	const room = 640 // for the header, before the body
	if cap(out) < room {
		out = make([]byte, room, 4<<10)
	}
	out = out[:room]
	switch kind {
	case KindLink:
		out = append(out, f.beacon.Landing...)
	case KindPixel:
		out = append(out, pixel...)
	default:
		var err error
		if out, err = f.beacon.Rendition(out, token.Object, token.Viewer); err != nil {
			return false
		}
		sum = f.beacon.sums.of(token, out[room:])
	}
	if cap(out) <= 8<<20 {
		*lent = out[:0]
	}
	data := out[room:]
	count.received.Add(1)
	now := time.Now()
	hit := Hit{
		ID: b.ids.next(now).String(), At: now.UTC(), Kind: kind, Token: token, SHA256: sum, Status: http.StatusOK,
		Method: http.MethodGet, Path: cut(r.target, maxPath), Host: cut(r.host, maxHost),
		UserAgent: cut(r.agent, maxHeader), Referer: cut(r.referer, maxHeader), Origin: cut(r.origin, maxHeader),
	}
	if r.head {
		hit.Method = http.MethodHead
	} else if kind == KindPicture {
		hit.Kind, hit.Bytes = KindFetch, len(data)
	}
	hit.Addr, hit.Via = f.beacon.forwarded(b.remote, r.via)
	hit.Self = f.beacon.Self != nil && f.beacon.Self(&http.Request{Method: hit.Method, RemoteAddr: b.remote, Header: http.Header{"User-Agent": {r.agent}}})
	err := f.beacon.Record(context.Background(), hit)
	f.beacon.Stats.recorded(1, err)
	var header [room]byte
	h := header[:0]
	if err != nil {
		count.end(Lost)
		h = append(h, "HTTP/1.1 503 Service Unavailable\r\nCache-Control: no-store\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 5\r\nX-Content-Type-Options: nosniff\r\nDate: "...)
		h = f.appendDate(h, now)
		const text = "try again later\n"
		h = append(h, "\r\nContent-Length: "...)
		h = strconv.AppendInt(h, int64(len(text)), 10)
		h = append(h, "\r\n\r\n"...)
		if !r.head {
			h = append(h, text...)
		}
		f.send(c, b, now, h)
		return true
	}
	h = append(h, "HTTP/1.1 200 OK\r\n"...)
	switch kind {
	case KindPicture:
		h = append(h, "Accept-Ranges: bytes\r\nCache-Control: private, no-store\r\nContent-Length: "...)
		h = strconv.AppendInt(h, int64(len(data)), 10)
		h = append(h, "\r\nContent-Type: image/jpeg\r\nEtag: \""...)
		h = append(h, sum[:32]...)
		h = append(h, '"')
	case KindLink:
		h = append(h, "Cache-Control: private, no-store\r\nContent-Length: "...)
		h = strconv.AppendInt(h, int64(len(data)), 10)
		h = append(h, "\r\nContent-Security-Policy: default-src 'none'\r\nContent-Type: text/html; charset=utf-8\r\nReferrer-Policy: no-referrer"...)
	default:
		h = append(h, "Cache-Control: private, no-store\r\nContent-Length: "...)
		h = strconv.AppendInt(h, int64(len(data)), 10)
		h = append(h, "\r\nContent-Type: image/gif"...)
	}
	h = append(h, "\r\nX-Content-Type-Options: nosniff\r\nX-Robots-Tag: noindex\r\nDate: "...)
	h = f.appendDate(h, now)
	h = append(h, "\r\n\r\n"...)
	count.end(Answered)
	if r.head {
		f.send(c, b, now, h)
		return true
	}
	copy(out[room-len(h):], h)
	f.send(c, b, now, out[room-len(h):])
	return true
}

// send writes the whole answer at once.
func (f *Front) send(c net.Conn, b *frontBuffer, now time.Time, m []byte) {
	var err error
	if until := now.Add(writeTime); until.After(b.write) {
		b.write = until.Add(slack)
		err = c.SetWriteDeadline(b.write)
	}
	if err == nil {
		_, err = c.Write(m)
	}
	if err != nil {
		f.beacon.Stats.HTTP.unsent.Add(1)
		b.request.failed = true
	}
}

// dateText is the time as a Date header says it.
type dateText struct {
	second int64
	text   string
}

func (f *Front) appendDate(dst []byte, now time.Time) []byte {
	d := f.date.Load()
	if d == nil || d.second != now.Unix() {
		d = &dateText{now.Unix(), now.UTC().Format(http.TimeFormat)}
		f.date.Store(d)
	}
	return append(dst, d.text...)
}

// handoff is a listener whose connections come from the front.
type handoff struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (h *handoff) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.closed:
		_ = c.Close() // the server ends
	}
}

// Accept waits for the next connection.
func (h *handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (h *handoff) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr is where the front listens.
func (h *handoff) Addr() net.Addr { return h.addr }

// begunConn is a connection of which something was read already.
type begunConn struct {
	net.Conn
	begun []byte
}

func (c *begunConn) Read(p []byte) (int, error) {
	if len(c.begun) > 0 {
		n := copy(p, c.begun)
		c.begun = c.begun[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}
