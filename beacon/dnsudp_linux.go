package beacon

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// listenUDP opens n sockets on one address, among which the system spreads the
// queries by their source; 0: one a processor.
func listenUDP(ctx context.Context, at *net.UDPAddr, n int) (conns []*net.UDPConn, err error) {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	any := at.IP == nil || at.IP.IsUnspecified()
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		return errors.Join(c.Control(func(fd uintptr) { err = udpOptions(int(fd), any) }), err)
	}}
	addr := at.String()
	for range n {
		c, err := lc.ListenPacket(ctx, "udp", addr)
		if err != nil {
			return nil, errors.Join(err, closeAll(conns))
		}
		conns = append(conns, c.(*net.UDPConn))
		addr = c.LocalAddr().String()
	}
	return conns, nil
}

func udpOptions(fd int, any bool) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return err
	}
	// A short receive buffer loses queries in a burst; a system that grants less still works.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	if !any {
		return nil
	}
	// An answer must come from the address that was asked, of which we may have several.
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return err
	}
	if family == unix.AF_INET {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
}

// Sizes of the buffers of one datagram, in bytes.
const (
	querySize   = 2048 // a longer query is cut off, and malformed
	controlSize = 64
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// mailbag is room for batchSize datagrams and their answers, laid out for the
// system calls.
type mailbag struct {
	in, out    [batchSize]mmsghdr
	inVec      [batchSize]unix.Iovec
	outVec     [batchSize]unix.Iovec
	names      [batchSize][unix.SizeofSockaddrInet6]byte
	control    [batchSize][controlSize]byte
	queries    [batchSize][querySize]byte
	replies    [batchSize][replySize]byte
	needsFlush [batchSize]bool // the answer is to a hit
	outcomes   [batchSize]Outcome
	any        bool // the socket hears several addresses
	n          int  // datagrams received
	from, to   int  // answers to be sent
	errno      unix.Errno
}

func newMailbag(any bool) *mailbag {
	b := &mailbag{any: any}
	for i := range b.in {
		b.inVec[i].Base = &b.queries[i][0]
		b.inVec[i].SetLen(querySize)
		b.in[i].hdr.Iov, b.out[i].hdr.Iov = &b.inVec[i], &b.outVec[i]
		b.in[i].hdr.SetIovlen(1)
		b.out[i].hdr.SetIovlen(1)
		b.in[i].hdr.Name = &b.names[i][0]
	}
	return b
}

// receive takes what datagrams there are; false if there are none yet.
func (b *mailbag) receive(fd uintptr) bool {
	for i := range b.in {
		h := &b.in[i].hdr
		h.Namelen = uint32(len(b.names[i]))
		if b.any {
			h.Control = &b.control[i][0]
			h.SetControllen(controlSize)
		}
	}
	for {
		// It never waits, so the scheduler need not know.
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.in[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			b.n, b.errno = int(n), 0
			return true
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			b.n, b.errno = 0, errno
			return true
		}
	}
}

// send sends answers from b.from up to b.to; false if the system takes none yet.
func (b *mailbag) send(fd uintptr) bool {
	for b.from < b.to {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&b.out[b.from])), uintptr(b.to-b.from), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			b.from += int(n)
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			b.errno = errno
			return true
		}
	}
	return true
}

// source is who sent datagram i.
func (b *mailbag) source(i int) netip.AddrPort {
	name := &b.names[i]
	port := binary.BigEndian.Uint16(name[2:])
	if binary.NativeEndian.Uint16(name[:]) == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(name[4:8])), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(name[8:24])).Unmap(), port)
}

// reply makes answer k go back where datagram i came from.
func (b *mailbag) reply(k, i int, m []byte) {
	in, out := &b.in[i].hdr, &b.out[k].hdr
	b.outVec[k].Base = &m[0]
	b.outVec[k].SetLen(len(m))
	out.Name, out.Namelen = in.Name, in.Namelen
	if !b.any {
		return
	}
	out.Control = in.Control
	out.Controllen = in.Controllen
	if in.Controllen >= unix.SizeofCmsghdr+12 {
		// From the address that was asked, but by whatever way leads there.
		c := (*unix.Cmsghdr)(unsafe.Pointer(in.Control))
		data := b.control[i][unix.CmsgLen(0):]
		if c.Level == unix.IPPROTO_IP {
			clear(data[:4])
		} else if !netip.AddrFrom16([16]byte(data[:16])).IsLinkLocalUnicast() {
			clear(data[16:20])
		}
	}
}

// serve answers what a socket hears until it is closed.
func (w *udpWorker) serve(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	b := newMailbag(conn.LocalAddr().(*net.UDPAddr).IP.IsUnspecified())
	receive, send := b.receive, b.send
	for {
		if err := raw.Read(receive); err != nil {
			return err
		}
		if b.errno != 0 {
			if b.errno == unix.ENOMEM || b.errno == unix.ENOBUFS {
				continue
			}
			return b.errno
		}
		w.answerAll(b)
		for b.from < b.to {
			b.errno = 0
			if err := raw.Write(send); err != nil {
				return err
			}
			if b.errno != 0 { // of the first answer left: unreachable, forbidden, ...
				w.d.stats.DNS.unsent.Add(1)
				b.from++
			}
		}
	}
}

// answerAll makes the answers to what was received, records the hits among it and
// leaves what may be sent in b.out.
func (w *udpWorker) answerAll(b *mailbag) {
	now := time.Now()
	var replies [batchSize][]byte
	for i := range b.n {
		m := b.queries[i][:b.in[i].len]
		if b.in[i].hdr.Flags&unix.MSG_TRUNC != 0 {
			m = m[:0]
		}
		replies[i], b.outcomes[i], b.needsFlush[i] = w.datagram(b.replies[i][:0], m, b.source(i), now)
	}
	lost := w.flush() != nil
	b.from, b.to = 0, 0
	for i := range b.n {
		if lost && b.needsFlush[i] {
			b.outcomes[i] = Lost
		} else if len(replies[i]) > 0 {
			b.reply(b.to, i, replies[i])
			b.to++
		}
		w.counts[b.outcomes[i]]++
	}
	w.count(b.n)
}

// socketDrops is how many datagrams the system threw away because nobody took
// them in time.
func socketDrops(conn *net.UDPConn) (drops uint64) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { // closed: nothing is dropped any more
		var info [16]uint32
		size := uint32(unsafe.Sizeof(info))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		if errno == 0 && size >= 4*(skMeminfoDrops+1) {
			drops = uint64(info[skMeminfoDrops])
		}
	})
	return drops
}

// skMeminfoDrops is SK_MEMINFO_DROPS of linux/sock_diag.h.
const skMeminfoDrops = 8
