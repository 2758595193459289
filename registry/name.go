package registry

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"birdring/canary"
	"birdring/canary/handle"
)

// How hard a handle is to meet by chance at least, in bits: in one site's dump of a
// hundred thousand names, and, for decoys that are asked about once among all the
// names there are, in the open web.
const (
	defaultHandleBits = 30.0
	darkHandleBits    = 43.0
)

// MaxHandleBits bounds the floor that can be asked for.
const MaxHandleBits = 60

// handleTries bounds how many candidates of one decoy are looked at, and
// refusedInARow how many that the plan gives may be refused one after the other: a
// quarter of them at least must be free, or bits would promise too much (filtersKept);
// with a quarter, one decoy in 10^8 fails by chance.
const (
	handleTries   = 20000
	refusedInARow = 64
)

// ModelFile is the data folder's handle model.
const ModelFile = "handles.brhm"

// HandleModel reads the data folder's handle model; nil if there is none and the
// bundled one is used.
func (r *Registry) HandleModel() (*handle.Model, error) {
	data, err := os.ReadFile(filepath.Join(r.dir, ModelFile))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := handle.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(r.dir, ModelFile), err)
	}
	return m, nil
}

// StoreHandleModel makes a model the data folder's. The one before is kept beside it
// under its id, so that handles drawn with it can be drawn again.
func (r *Registry) StoreHandleModel(m *handle.Model) error {
	return keepModel(r.dir, m, ModelFile)
}

// keepModel writes a model readable by its owner alone, under its id and, if that is
// not "", under another name too.
func keepModel(dir string, m *handle.Model, name string) error {
	data := m.Marshal()
	for _, file := range []string{"handles-" + m.ID() + ".brhm", name} {
		if file == "" {
			continue
		}
		if err := WritePrivate(filepath.Join(dir, file), data); err != nil {
			return fmt.Errorf("keep handle model: %w", err)
		}
	}
	return nil
}

// WritePrivate writes a file of mode 0600 so that a reader sees all of it or nothing.
func WritePrivate(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".birdring-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already unless something failed
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Given returns all handles ever given out, which are reserved for ever.
func (r *Registry) Given(ctx context.Context) (*handle.Given, error) {
	w, err := r.world(ctx)
	if err != nil {
		return nil, err
	}
	return w.given(), nil
}

// said is what the decoys say in their bios and posts.
func (w *world) said() canary.Said {
	said := canary.Said{}
	for i := range w.decoys {
		said[w.decoys[i].Bio] = true
		for _, p := range w.decoys[i].Posts {
			said[p.Caption] = true
		}
	}
	return said
}

func (w *world) given() *handle.Given {
	g := new(handle.Given)
	for i := range w.decoys {
		g.Add(w.decoys[i].Handle)
	}
	return g
}

// Namer draws handles that nobody has: through the plan's own filters, then unlike
// every one given out, then those that Taken knows.
type Namer struct {
	Plan  *handle.Plan
	Given *handle.Given
	// Avoid says whether the operator does not want a handle; may be nil.
	Avoid func(handle string) bool
	// Taken asks the platform whether a handle is, or ever was, somebody's; may be nil.
	Taken func(ctx context.Context, handle string) (bool, error)
	// Passed counts the candidates passed over, by reason; may be nil.
	Passed map[handle.Reason]int
}

// Name draws the first handle from a candidate on that nobody has, takes it in, and
// says which candidate it was.
func (n *Namer) Name(ctx context.Context, draw canary.HandleDraw, from uint32) (h string, bits float64, counter uint32, err error) {
	refused := 0
	for counter := from; counter-from < handleTries; counter++ {
		h, bits, ok, why := draw.At(n.Plan, counter)
		given := ok
		switch {
		case !ok:
		case n.Avoid != nil && n.Avoid(h):
			why = handle.Offends
		case n.Given.Clash(h):
			why = handle.Clashes
		case n.Taken != nil:
			taken, err := n.Taken(ctx, h)
			if err != nil {
				return "", 0, 0, fmt.Errorf("is @%s taken: %w", h, err)
			}
			if taken {
				why = handle.Taken
			}
		}
		if why == "" {
			n.Given.Add(h)
			return h, bits, counter, nil
		}
		if n.Passed != nil {
			n.Passed[why]++
		}
		if !given {
			continue
		}
		if refused++; refused == refusedInARow {
			return "", 0, 0, fmt.Errorf("%d handles in a row are taken, unwanted or too like another decoy's, @%s last: fit a larger model with birdring handles fit, or look at what answers the taken-check", refused, h)
		}
	}
	return "", 0, 0, fmt.Errorf("no free handle of %v bits in %d tries: another handle model is needed", n.Plan.Floor(), handleTries)
}

// NewNamer returns a Namer of handles of a kind of decoy with at least floor bits (0:
// those of the kind) from a model (nil: the data folder's, else the bundled one), and
// the keyring that draws them.
func (r *Registry) NewNamer(ctx context.Context, m *handle.Model, kind canary.Kind, floor float64) (*Namer, *canary.Keyring, error) {
	if m == nil {
		var err error
		if m, err = r.modelInUse(); err != nil {
			return nil, nil, err
		}
	}
	plan, err := m.Plan(floorOf(kind, floor))
	if err != nil {
		return nil, nil, err
	}
	given, err := r.Given(ctx)
	return &Namer{Plan: plan, Given: given}, r.keys, err
}

func (r *Registry) modelInUse() (*handle.Model, error) {
	m, err := r.HandleModel()
	if m == nil && err == nil {
		m = canary.DefaultHandleModel()
	}
	return m, err
}

func floorOf(kind canary.Kind, floor float64) float64 {
	switch {
	case kind == canary.Dark:
		return max(floor, darkHandleBits)
	case floor == 0:
		return defaultHandleBits
	}
	return floor
}

// namer is the planting's for a kind of decoy.
func (p *planting) namer(kind canary.Kind) (*Namer, error) {
	floor := floorOf(kind, p.q.MinHandleBits)
	if n := p.namers[floor]; n != nil {
		return n, nil
	}
	plan, err := p.model.Plan(floor)
	if err != nil {
		return nil, err
	}
	n := &Namer{Plan: plan, Given: p.given, Avoid: p.q.AvoidHandle, Taken: p.q.TakenHandle}
	p.namers[floor] = n
	return n, nil
}

// name gives a decoy a handle that nobody has, also not spelled another way. It
// belongs to it before the decoy is stored: one planting runs at a time.
func (p *planting) name(ctx context.Context, d *canary.Decoy) error {
	n, err := p.namer(d.Kind)
	if err != nil {
		return err
	}
	d.HandleModel = p.model.ID()
	d.Handle, d.HandleBits, d.HandleCounter, err = n.Name(ctx, p.r.keys.HandleDraw(d.ID), 0)
	return err
}

// DrawAgain draws a planted decoy's handle again from key, decoy and counter, with
// the model it was drawn with.
func (r *Registry) DrawAgain(ctx context.Context, decoy string) (string, error) {
	d, err := r.Decoy(ctx, decoy)
	if err != nil {
		return "", err
	}
	m := canary.DefaultHandleModel()
	if m.ID() != d.HandleModel {
		data, err := os.ReadFile(filepath.Join(r.dir, "handles-"+d.HandleModel+".brhm"))
		if err != nil {
			return "", fmt.Errorf("the model that @%s was drawn with: %w", d.Handle, err)
		}
		if m, err = handle.Parse(data); err != nil {
			return "", err
		}
	}
	// What was asked for then is not kept: the floors that a planting takes are tried.
	for _, floor := range []float64{floorOf(d.Kind, 0), floorOf(d.Kind, floorOf(canary.Dark, 0)), 0} {
		plan, err := m.Plan(floor)
		if err != nil {
			continue
		}
		if h, _, _, _ := r.keys.HandleDraw(d.ID).At(plan, d.HandleCounter); h == d.Handle {
			return h, nil
		}
	}
	return "", fmt.Errorf("@%s is not what key, decoy and counter give with model %s", d.Handle, d.HandleModel)
}
