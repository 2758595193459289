package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"birdring/canary"
	"birdring/canary/handle"
	"birdring/internal/critic"
	"birdring/registry"
)

func (a *app) handlesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "handles fit|sample|check",
		Short: "Fit the handle model to your platform, look at its handles, judge them",
		RunE: func(*cobra.Command, []string) error {
			return usagef("handles fit, sample or check")
		},
		Args: noArgs,
	}
	cmd.AddCommand(a.handlesFit(), a.handlesSample(), a.handlesCheck())
	return cmd
}

func (a *app) handlesFit() *cobra.Command {
	var from, out, rules string
	cmd := &cobra.Command{
		Use:   "fit --from FILE",
		Short: "Fit the handle model to your platform's own handles",
		Long: `Reads your platform's handles, one a line (- is standard input; millions are fine, a
million are better than ten thousand), and writes the data folder's handle model, which
seed and handles sample use from then on. The model is a secret like the registry.`,
		Args: noArgs,
	}
	cmd.Flags().StringVar(&from, "from", "", "file of handles, one a line; - reads standard input")
	cmd.Flags().StringVar(&out, "out", "", "write the model here instead of into the data folder")
	cmd.Flags().StringVar(&rules, "rules", "2-40:._-", "what the platform takes for a handle: instagram, x, tiktok, mastodon, github, or MIN-MAX:SEPARATORS")
	var r handle.Rules
	cmd.PreRunE = func(*cobra.Command, []string) (err error) {
		if from == "" {
			return usagef("--from FILE is missing: a file of your platform's handles, one a line")
		}
		if r, err = handle.ParseRules(rules); err != nil {
			return usagef("--rules: %v", err)
		}
		return nil
	}
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error { return a.fitHandles(ctx, from, out, r) })
	return cmd
}

// badLine is a line that is no handle.
type badLine struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

// mostBad bounds the bad lines that are named; all are counted.
const mostBad = 10

func (a *app) fitHandles(ctx context.Context, from, out string, rules handle.Rules) (err error) {
	var reg *registry.Registry
	if out == "" {
		if reg, err = a.open(ctx, registry.Options{}); err != nil {
			return err
		}
		defer closing(reg, &err)
	}
	in, size, err := a.openNames(from)
	if err != nil {
		return err
	}
	defer in.Close()
	f := handle.NewFitter(rules)
	step, done := a.progress("reading")
	counted := &countReader{Reader: in}
	read, bad, reasons := 0, 0, []badLine{}
	err = critic.ReadNames(counted, func(line int, name string) error {
		if read++; read%65536 == 0 {
			step(int(counted.n), int(max(size, counted.n)), "")
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
		if err := f.Add(name); err != nil {
			if bad++; bad <= mostBad {
				reasons = append(reasons, badLine{line, err.Error()})
			}
		}
		return nil
	})
	done()
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	step, done = a.progress("fitting")
	m, err := f.Model(func(i, n int) { step(i, n, "") })
	done()
	if err != nil {
		if bad > 0 {
			err = fmt.Errorf("%w; of %d lines %d are no handles, the first is line %d: %s", err, read, bad, reasons[0].Line, reasons[0].Reason)
		}
		return fmt.Errorf("%s: %w", from, err)
	}
	file := out
	if reg != nil {
		file = filepath.Join(a.data, registry.ModelFile)
		err = reg.StoreHandleModel(m)
	} else {
		err = registry.WritePrivate(out, m.Marshal())
	}
	if err != nil {
		return plain(err)
	}
	for _, b := range reasons {
		a.note("line %d is no handle: %s", b.Line, b.Reason)
	}
	a.printFitted(m, file, read, bad, reasons)
	return nil
}

func (a *app) printFitted(m *handle.Model, file string, read, bad int, reasons []badLine) {
	type floor struct {
		Floor float64 `json:"floor"`
		Kept  float64 `json:"kept"`
	}
	row := struct {
		Model    string    `json:"model"`
		ID       string    `json:"id"`
		Rules    string    `json:"rules"`
		Read     int       `json:"read"`
		Fitted   uint64    `json:"fitted"`
		BadLines int       `json:"bad_lines"`
		Bad      []badLine `json:"bad"`
		Bytes    int       `json:"bytes"`
		Memory   int       `json:"memory"`
		Taste    bool      `json:"taste"`
		Floors   []floor   `json:"floors"`
	}{file, m.ID(), m.Rules().Name, read, m.Fitted(), bad, reasons, len(m.Marshal()), m.Size(), m.Tastes(), []floor{}}
	for _, f := range handle.Floors {
		if p, err := m.Plan(f); err == nil {
			row.Floors = append(row.Floors, floor{f, p.Kept()})
		}
	}
	a.emit(row, func(w io.Writer) {
		fmt.Fprintf(w, "%s: fitted to %d of %d lines, %d were no handles; %.1f MB\n", row.Model, row.Fitted, row.Read, row.BadLines, float64(row.Bytes)/1e6)
		for _, f := range row.Floors {
			fmt.Fprintf(w, "  handles of %g bits: %.0f %% of draws are kept\n", f.Floor, 100*f.Kept)
		}
		if !row.Taste {
			fmt.Fprintln(w, "  no taste was learnt, for which 20000 handles are needed: whoever studies many decoys tells them more easily")
		}
	})
}

// countReader counts what is read through it.
type countReader struct {
	io.Reader
	n int64
}

func (c *countReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// openNames opens a list of names; size is 0 if nobody knows.
func (a *app) openNames(path string) (in io.ReadCloser, size int64, err error) {
	if path == "-" {
		return io.NopCloser(a.in), 0, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, plain(err)
	}
	st, err := f.Stat()
	if err == nil && st.IsDir() {
		err = fmt.Errorf("%s is a folder: a file of names, one a line, is wanted", path)
	}
	if err != nil {
		return nil, 0, errors.Join(plain(err), f.Close())
	}
	return f, st.Size(), nil
}

// names reads a whole list, in lower case.
func (a *app) names(path string) (out []string, err error) {
	in, _, err := a.openNames(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	err = critic.ReadNames(in, func(_ int, name string) error {
		out = append(out, string(bytes.ToLower([]byte(name))))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

// readModel reads a handle model's file; "default" and "" are nil: the data folder's.
func readModel(path string) (*handle.Model, error) {
	if path == "" || path == "default" {
		return nil, nil
	}
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, plain(err)
	case st.Size() > 64<<20 || !st.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no handle model: make one with birdring handles fit", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, plain(err)
	}
	m, err := handle.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// namerFlags choose handles; seed and handles sample have them.
type namerFlags struct {
	model, taken, avoid string
	allow               []string
	floor               float64
}

func (f *namerFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.model, "handles", "default", "handle model: a file of birdring handles fit (default: the data folder's, else the bundled one)")
	fl.StringVar(&f.taken, "taken", "", "handles that are or were somebody's: a file, one a line, or your platform's URL with {handle}, which answers 200 if taken and 404 if free")
	fl.StringVar(&f.avoid, "avoid", "", "file of words that no handle may hold, one a line, besides the bundled ones")
	fl.Float64Var(&f.floor, "min-bits", 0, "how hard a handle is to meet by chance, in bits (default 30; dark decoys at least 43)")
	fl.StringArrayVar(&f.allow, "allow", nil, "CIDR:PORT that --taken may call although private, without rate limit, repeatable")
}

func (f *namerFlags) check() error {
	if !(f.floor >= 0 && f.floor <= registry.MaxHandleBits) {
		return usagef("--min-bits must be 0 to %d", registry.MaxHandleBits)
	}
	if f.model != "" && f.model != "default" {
		if _, err := os.Stat(f.model); err != nil {
			return usagef("there is no handle model %q: leave --handles away, or make a model with birdring handles fit --out FILE", f.model)
		}
	}
	return nil
}

// filters reads the lists of the flags.
func (a *app) filters(f *namerFlags) (avoid func(string) bool, taken func(context.Context, string) (bool, error), err error) {
	if f.avoid != "" {
		words, err := a.names(f.avoid)
		if err != nil {
			return nil, nil, err
		}
		avoid = registry.Avoid(words)
	}
	switch {
	case f.taken == "":
	case registry.IsTakenURL(f.taken):
		taken, err = registry.TakenAt(f.taken, f.allow)
	default:
		in, _, e := a.openNames(f.taken)
		if e != nil {
			return nil, nil, e
		}
		defer in.Close()
		list := registry.TakenList{}
		if e := critic.ReadNames(in, func(_ int, name string) error { list.Add(name); return nil }); e != nil {
			return nil, nil, fmt.Errorf("%s: %w", f.taken, e)
		}
		taken = list.Taken
	}
	return avoid, taken, err
}

func (a *app) handlesSample() *cobra.Command {
	var f namerFlags
	var count int
	var dark bool
	cmd := &cobra.Command{
		Use:   "sample --count N",
		Short: "Print handles as they would be planted",
		Long: `Prints handles drawn with the data folder's keys through every filter of seed, one a
line. Nothing is planted, and none of them will be: decoys draw others.`,
		Args: noArgs,
	}
	cmd.Flags().IntVar(&count, "count", 20, "how many")
	cmd.Flags().BoolVar(&dark, "dark", false, "as for dark decoys: 43 bits and more")
	f.add(cmd)
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if count < 1 {
			return usagef("--count must be at least 1")
		}
		return f.check()
	}
	cmd.RunE = a.run(func(ctx context.Context, _ []string) (err error) {
		m, err := readModel(f.model)
		if err != nil {
			return err
		}
		reg, err := a.open(ctx, registry.Options{ReadOnly: true})
		if err != nil {
			return err
		}
		defer closing(reg, &err)
		kind := canary.Shared
		if dark {
			kind = canary.Dark
		}
		namer, keys, err := reg.NewNamer(ctx, m, kind, f.floor)
		if err != nil {
			return err
		}
		if namer.Avoid, namer.Taken, err = a.filters(&f); err != nil {
			return err
		}
		return a.sample(ctx, namer, keys.HandleDraw("sample"), count)
	})
	return cmd
}

// sample prints n handles and says at the end what was passed over.
func (a *app) sample(ctx context.Context, n *registry.Namer, draw canary.HandleDraw, count int) error {
	type row struct {
		Handle  string  `json:"handle"`
		Bits    float64 `json:"bits"`
		Counter uint32  `json:"counter"`
	}
	n.Passed = map[handle.Reason]int{}
	buffered := bufio.NewWriter(a.out)
	a.out = buffered
	defer func() { a.keep(buffered.Flush()) }()
	var took time.Duration
	next := uint32(0)
	for range count {
		began := time.Now()
		h, bits, counter, err := n.Name(ctx, draw, next)
		if err != nil {
			return err
		}
		took += time.Since(began)
		next = counter + 1
		a.emit(row{h, floor3(bits), counter}, func(w io.Writer) { fmt.Fprintln(w, h) })
		if a.writeErr != nil {
			return a.writeErr
		}
	}
	text := ""
	for _, why := range handle.Reasons {
		if c := n.Passed[why]; c > 0 {
			text += fmt.Sprintf(", %d %s", c, why)
		}
	}
	a.note("%d handles of at least %g bits from %d candidates%s; %.1f µs each", count, n.Plan.Floor(), next, text, float64(took.Microseconds())/float64(count))
	return nil
}
