package journal

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Parcel is a stretch of a segment on its way to another machine. Each record
// keeps its place in the journal, so that whoever unpacks parcels can tell which
// records it has, however they are packed the next time.
type Parcel struct {
	Source  string // of which journal: its Source
	Segment uint64
	From    int64 // offset where the stretch begins
	Records []Record
}

// Record is one record of a parcel.
type Record struct {
	End  int64 // offset behind it
	Data []byte
}

// To is the offset where the stretch ends.
func (p *Parcel) To() int64 {
	if len(p.Records) == 0 {
		return p.From
	}
	return p.Records[len(p.Records)-1].End
}

// ID names the stretch: the same for the same records.
func (p *Parcel) ID() string { return fmt.Sprintf("%s-%x-%x-%x", p.Source, p.Segment, p.From, p.To()) }

// parcelFormat is the first byte of a packed parcel:
//
//	format u8 = 1, length of the source uvarint, source, segment uvarint, from uvarint,
//	for each record: end less the one before (the first: less from) uvarint, length uvarint, data
//	CRC-32C of all that u32 little-endian
const parcelFormat = 1

// maxSource is the most bytes of a journal's name.
const maxSource = 64

// MarshalBinary packs a parcel.
func (p *Parcel) MarshalBinary() ([]byte, error) {
	if p.Source == "" || len(p.Source) > maxSource || p.From < 0 {
		return nil, fmt.Errorf("pack parcel: source %q, offset %d", p.Source, p.From)
	}
	size := 64 + len(p.Source)
	for _, r := range p.Records {
		size += len(r.Data) + 2*binary.MaxVarintLen32
	}
	out := append(make([]byte, 0, size), parcelFormat)
	out = binary.AppendUvarint(out, uint64(len(p.Source)))
	out = append(out, p.Source...)
	out = binary.AppendUvarint(out, p.Segment)
	out = binary.AppendUvarint(out, uint64(p.From))
	before := p.From
	for _, r := range p.Records {
		if r.End <= before || len(r.Data) == 0 || len(r.Data) > MaxRecord {
			return nil, fmt.Errorf("pack parcel: record of %d bytes that ends at %d behind %d", len(r.Data), r.End, before)
		}
		out = binary.AppendUvarint(out, uint64(r.End-before))
		out = binary.AppendUvarint(out, uint64(len(r.Data)))
		out = append(out, r.Data...)
		before = r.End
	}
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, castagnoli)), nil
}

// errParcel is what is wrong with most unreadable parcels.
var errParcel = errors.New("read parcel: it is damaged")

// UnmarshalBinary unpacks a parcel. Its records share memory with data.
func (p *Parcel) UnmarshalBinary(data []byte) error {
	if len(data) < 5 {
		return errParcel
	}
	if data[0] != parcelFormat {
		return fmt.Errorf("read parcel: format %d is newer than this program understands", data[0])
	}
	body := data[:len(data)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(data[len(body):]) {
		return errParcel
	}
	rest, bad := body[1:], false
	number := func(most uint64) uint64 {
		v, n := binary.Uvarint(rest)
		if n <= 0 || v > most {
			bad = true
			return 0
		}
		rest = rest[n:]
		return v
	}
	bytes := func(n uint64) []byte {
		if uint64(len(rest)) < n {
			bad = true
			return nil
		}
		b := rest[:n:n]
		rest = rest[n:]
		return b
	}
	const mostOffset = 1<<62 - 1
	read := Parcel{Source: string(bytes(number(maxSource)))}
	read.Segment, read.From = number(1<<63-1), int64(number(mostOffset))
	if bad || read.Source == "" {
		return errParcel
	}
	for at := read.From; len(rest) > 0; {
		step := int64(number(mostOffset))
		data := bytes(number(MaxRecord))
		if bad || step == 0 || len(data) == 0 || at > mostOffset-step {
			return errParcel
		}
		at += step
		read.Records = append(read.Records, Record{at, data})
	}
	*p = read
	return nil
}

// Pack reads what is in a journal from a position on as parcels of at most size
// bytes of records, a few of them, and returns the position to go on from. No
// parcel reaches over the end of a segment.
func (j *Journal) Pack(from Position, source string, size, parcels int) (out []Parcel, to Position, err error) {
	var p *Parcel
	held := 0
	to, err = j.Read(from, func(rec []byte, next Position) error {
		if p == nil || p.Segment != next.Segment || held+len(rec) > size {
			if len(out) == parcels {
				return errFullParcels
			}
			begin := int64(0)
			if next.Segment == from.Segment {
				begin = from.Offset
			}
			if p != nil && p.Segment == next.Segment {
				begin = p.To()
			}
			out = append(out, Parcel{Source: source, Segment: next.Segment, From: begin})
			p, held = &out[len(out)-1], 0
		}
		p.Records = append(p.Records, Record{next.Offset, append([]byte(nil), rec...)})
		held += len(rec)
		return nil
	})
	if errors.Is(err, errFullParcels) {
		err = nil
	}
	return out, to, err
}

// errFullParcels ends a packing.
var errFullParcels = errors.New("enough parcels")

// Source is the name of a journal, drawn when it is first asked for: whoever
// unpacks parcels tells journals apart by it. A copy of the folder has another
// one, since its records go on differently.
func (j *Journal) Source() (string, error) {
	path := filepath.Join(j.dir, "source")
	data, err := os.ReadFile(path)
	if err == nil {
		name, inode, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
		if name != "" && inode == fileNumber(path) {
			return name, nil
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("name of journal %s: %w", j.dir, err)
	}
	return j.Rename()
}

// Rename draws a new name for a journal: places in it come again with other
// records, because its files were removed or copied.
func (j *Journal) Rename() (string, error) {
	path := filepath.Join(j.dir, "source")
	draw := make([]byte, 12)
	rand.Read(draw) // never fails
	name := hex.EncodeToString(draw)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", fmt.Errorf("name of journal %s: %w", j.dir, err)
	}
	_, err = fmt.Fprintf(f, "%s %s\n", name, fileNumber(path))
	if err = errors.Join(err, f.Sync(), f.Close(), syncDir(j.dir)); err != nil {
		return "", fmt.Errorf("name of journal %s: %w", j.dir, err)
	}
	return name, nil
}

// fileNumber is the number by which the system knows a file.
func fileNumber(path string) string {
	st, err := os.Stat(path)
	if err != nil {
		return "?"
	}
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprint(s.Ino)
	}
	return "?"
}
