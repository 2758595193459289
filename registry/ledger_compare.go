package registry

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"birdring/registry/ledger"
)

// compare finds the buckets in which ledger and registry differ, and in them the rows.
func (v *verifier) compare(folder ledger.Folder) error {
	for id, p := range v.last {
		e, err := ledger.Parse(p.body)
		if err != nil {
			return err
		}
		if err := v.count(v.told, e); err != nil {
			return err
		}
		v.last[id] = placed{p.position, v.body(e)}
	}
	differ := map[bucket]bool{}
	for key, s := range v.told {
		if other := v.live[key]; other == nil || *other != *s {
			differ[key] = true
		}
	}
	for key, s := range v.live {
		if other := v.told[key]; other == nil || *other != *s {
			differ[key] = true
		}
	}
	if len(differ) == 0 {
		return nil
	}
	return v.detail(folder, differ)
}

// stray is an entry without its row, or a row without its entry.
type stray struct {
	*ledger.Entry
	position int64 // -1: a row
}

// detail reads the buckets that differ once more and tells every stray.
func (v *verifier) detail(folder ledger.Folder, differ map[bucket]bool) error {
	rows := map[string]*ledger.Entry{} // by body
	err := v.readRows(func(e *ledger.Entry) error {
		if differ[bucketOf(e)] {
			rows[string(v.body(e))] = new(*e)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var missing []stray
	look := func(position int64, data []byte) error {
		e, err := ledger.Parse(data)
		if err != nil || e.Class == ledger.Removal || v.gone.has(position) || !differ[bucketOf(e)] {
			return err
		}
		if e.Class == ledger.Attribution && v.last[e.Nums[0]].position != position {
			return nil // a later entry counts
		}
		body := string(v.body(e))
		if _, ok := rows[body]; !ok {
			missing = append(missing, stray{e, position})
			return nil
		}
		delete(rows, body)
		return nil
	}
	if err := folder.Entries(v.rep.Size, look); err != nil {
		return err
	}
	if err := v.lookQueue(look); err != nil {
		return err
	}
	v.pair(missing, rows)
	return nil
}

// lookQueue visits the entries in the queue.
func (v *verifier) lookQueue(look func(position int64, data []byte) error) error {
	rows, err := v.tx.QueryContext(v.ctx, `SELECT first_place, entries FROM ledger_queue WHERE first_place >= ? ORDER BY first_place`, v.rep.Size)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var at int64
		var entries []byte
		if err := rows.Scan(&at, &entries); err != nil {
			return err
		}
		if err := ledger.Cut(entries, func(e []byte) error { at++; return look(at-1, e) }); err != nil {
			return err
		}
	}
	return rows.Err()
}

// pair puts entries that miss their row together with rows that miss their entry,
// as far as they are the same thing, and tells what became of each.
func (v *verifier) pair(missing []stray, rows map[string]*ledger.Entry) {
	byName := map[string][]string{} // what a thing is -> bodies
	for body, e := range rows {
		for _, name := range namesOf(e) {
			byName[name] = append(byName[name], body)
		}
	}
	for _, bodies := range byName {
		slices.Sort(bodies)
	}
	for _, m := range missing {
		row := v.counterpart(m.Entry, byName, rows)
		if row == nil {
			v.tell("removed", nil, m.Entry, &m.position, "it was recorded, and is not in the registry any more")
			continue
		}
		delete(rows, string(v.body(row)))
		kind, text := difference(row, m.Entry)
		v.tell(kind, row, m.Entry, &m.position, text)
	}
	left := make([]*ledger.Entry, 0, len(rows))
	for _, e := range rows {
		left = append(left, e)
	}
	slices.SortFunc(left, func(a, b *ledger.Entry) int { return slices.Compare(a.Nums, b.Nums) })
	for _, e := range left {
		v.tell("added", e, nil, nil, "it is in the registry but was never recorded: it was put there behind the program's back")
	}
}

// namesOf are what a row may be known by although something of it was changed,
// the surest first.
func namesOf(e *ledger.Entry) []string {
	n := e.Nums
	switch e.Class {
	case ledger.Exposure:
		return []string{
			fmt.Sprint("key", n, e.Strings[0]),                         // another digest
			fmt.Sprint("at", n[0], n[1], n[3], n[4], e.Strings[0]),     // another time
			fmt.Sprint("viewer", n[0], n[2], n[3], n[4], e.Strings[0]), // another viewer
			fmt.Sprint("surface", n),                                   // another surface
		}
	case ledger.Forgotten:
		return []string{e.Strings[0]}
	}
	return []string{fmt.Sprint(e.Class, n[0])}
}

// counterpart is a row without an entry that is the same thing as an entry without a row.
func (v *verifier) counterpart(e *ledger.Entry, byName map[string][]string, rows map[string]*ledger.Entry) *ledger.Entry {
	for _, name := range namesOf(e) {
		for _, body := range byName[name] {
			if row := rows[body]; row != nil && row.Class == e.Class {
				return row
			}
		}
	}
	return nil
}

// timeFields are the fields of a class that are times.
var timeFields = map[string]bool{"at": true, "given_at": true, "captured_at": true, "stored_at": true, "first_at": true, "updated_at": true, "since": true}

// difference says what was done to a row.
func difference(row, was *ledger.Entry) (kind, text string) {
	nums, texts := row.Class.Fields()
	var fields []string
	back, other := false, false
	for i, name := range nums {
		if row.Nums[i] == was.Nums[i] {
			continue
		}
		fields = append(fields, name)
		if timeFields[name] && row.Nums[i] < was.Nums[i] {
			back = true
		} else {
			other = true
		}
	}
	for i, name := range texts {
		if row.Strings[i] != was.Strings[i] {
			other = true
			if name == "digest" {
				name = "what the digest stands for"
			}
			fields = append(fields, name)
		}
	}
	if back && !other {
		return "back-dated", fmt.Sprintf("%s was set to an earlier time", strings.Join(fields, ", "))
	}
	return "changed", fmt.Sprintf("%s was changed", strings.Join(fields, ", "))
}

// tell notes a problem with a row.
func (v *verifier) tell(kind string, row, was *ledger.Entry, position *int64, text string) {
	p := LedgerProblem{Kind: kind, Text: text, Position: position}
	if position != nil {
		p.Position = new(*position)
	}
	if row != nil {
		p.Row, p.Class = EntryView(row), row.Class.String()
	}
	if was != nil {
		p.Was, p.Class, p.Recorded = EntryView(was), was.Class.String(), new(timeOf(was.Recorded))
	}
	v.problem(p)
}

// EntryView is an entry as it is told: fields by name, times RFC 3339, pseudonyms
// and digests in hex.
func EntryView(e *ledger.Entry) map[string]any {
	nums, texts := e.Class.Fields()
	out := map[string]any{"class": e.Class.String()}
	for i, name := range nums {
		switch {
		case timeFields[name] && e.Nums[i] != 0:
			out[name] = timeOf(e.Nums[i]).Format(time.RFC3339Nano)
		default:
			out[name] = e.Nums[i]
		}
	}
	for i, name := range texts {
		if name == "surface" || name == "commitment" {
			out[name] = e.Strings[i]
		} else {
			out[name] = hex.EncodeToString([]byte(e.Strings[i]))
		}
	}
	return out
}

// places is a set of places in the ledger.
type places struct{ all []int64 }

// packPlaces writes ascending places as differences.
func packPlaces(all []int64) []byte {
	var out []byte
	last := int64(0)
	for _, p := range all {
		out = binary.AppendUvarint(out, uint64(p-last))
		last = p
	}
	return out
}

// add takes the places of a list.
func (s *places) add(list []byte) error {
	at := int64(0)
	for len(list) > 0 {
		d, n := binary.Uvarint(list)
		if n <= 0 || d > 1<<40 {
			return errors.New("a list of removed rows is damaged")
		}
		at += int64(d)
		s.all = append(s.all, at)
		list = list[n:]
	}
	return nil
}

func (s *places) sort() { slices.Sort(s.all) }

func (s *places) has(position int64) bool {
	_, ok := slices.BinarySearch(s.all, position)
	return ok
}
