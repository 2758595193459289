package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"birdring/canary/handle"
	"birdring/internal/critic"
)

// checkFlags are the flags of handles check.
type checkFlags struct {
	real, background, plot string
	count, draws           int
	floor                  float64
	seed                   uint64
	model                  bool
}

func (a *app) handlesCheck() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check FILE --real NAMES",
		Short: "Judge a handle model, or a list of handles, against real names",
		Long: `FILE is a model of birdring handles fit, or a list of handles, one a line. NAMES are real
names of the platform that the model was not fitted to, one a line. An attacker with names
and found-out handles learns to tell them apart on two thirds and is tried on the rest. With
--background he also owns the very names that the model was fitted to: that is the number to
go by. With --with-model he has fitted the same model to them too, and lacks only the key.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("one FILE is wanted: a handle model or a list of handles; run birdring handles check --help")
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.real, "real", "", "file of real names that the model was not fitted to")
	fl.StringVar(&f.background, "background", "", "file of the names that it was fitted to")
	fl.IntVar(&f.count, "count", 12000, "names a side, as far as there are")
	fl.IntVar(&f.draws, "draws", 200000, "draws by which coincidences are counted")
	fl.Float64Var(&f.floor, "min-bits", 30, "floor of the handles in bits")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of draws and of the attacker")
	fl.BoolVar(&f.model, "with-model", false, "also an attacker who has fitted our model")
	fl.StringVar(&f.plot, "plot", "", "write a picture of how the strongest attacker fares (SVG)")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		switch {
		case f.real == "":
			return usagef("--real NAMES is missing: real names of the platform, one a line")
		case f.plot != "" && !strings.EqualFold(filepath.Ext(f.plot), ".svg"):
			return usagef("--plot %s: the picture is an SVG, so call it NAME.svg; rsvg-convert or a browser make a PNG of it", f.plot)
		case f.count < critic.Fewest:
			return usagef("--count must be at least %d", critic.Fewest)
		case f.draws < 1000:
			return usagef("--draws must be at least 1000")
		case !(f.floor >= 0 && f.floor <= 60):
			return usagef("--min-bits must be 0 to 60")
		}
		return nil
	}
	cmd.RunE = a.run(func(ctx context.Context, args []string) error { return a.checkHandles(args[0], f) })
	return cmd
}

func (a *app) checkHandles(file string, f checkFlags) error {
	c := critic.Check{Count: f.count, Seed: f.seed, Model: f.model}
	m, err := a.modelOrList(file, &c)
	if err != nil {
		return err
	}
	if c.Real, err = a.names(f.real); err != nil {
		return err
	}
	if len(c.Real) < critic.Fewest {
		return fmt.Errorf("%s: %d real names are too few to judge by: %d at least", f.real, len(c.Real), critic.Fewest)
	}
	if f.background != "" {
		if c.Background, err = a.names(f.background); err != nil {
			return err
		}
	}
	if m != nil {
		// What can never be drawn is not drawn for the attacker either.
		if c.Plan, err = m.Plan(f.floor); err != nil {
			return err
		}
		if err := a.printChances(m, c.Real, f); err != nil {
			return err
		}
	}
	step, done := a.progress("attacking")
	c.Step = func(_ string, i, n int) { step(i, n, "") }
	verdicts, err := c.Run()
	done()
	if err != nil {
		return err
	}
	for _, v := range verdicts {
		a.emit(v, func(w io.Writer) {
			fmt.Fprintf(w, "attacker with %-10s  AUC %.3f ± %.3f  finds %.1f %% where 1 %% of real names are flagged  (%d names a side; best alone: %s)\n",
				v.Attacker, float64(v.AUC), float64(v.Error), 100*float64(v.Recall), v.Names, v.Best)
		})
	}
	if f.plot == "" {
		return nil
	}
	var b bytes.Buffer
	if err := critic.Plot(&b, verdicts[len(verdicts)-1]); err != nil {
		return err
	}
	return writeWhole(f.plot, b.Bytes())
}

// modelOrList reads what is to be judged.
func (a *app) modelOrList(file string, c *critic.Check) (*handle.Model, error) {
	m, err := readModel(file)
	if m != nil {
		return m, nil
	}
	head := make([]byte, 4)
	if f, e := os.Open(file); e == nil {
		io.ReadFull(f, head) // a short file is no model
		e = f.Close()
		if string(head) == "BRHM" || e != nil {
			return nil, errors.Join(err, e)
		}
	}
	c.Ours, err = a.names(file)
	return nil, err
}

func (a *app) printChances(m *handle.Model, real []string, f checkFlags) error {
	for _, floor := range []float64{0, f.floor} {
		p, err := m.Plan(floor)
		if err != nil {
			return err
		}
		c := critic.Coincide(p, real, f.draws, f.seed)
		a.emit(c, func(w io.Writer) {
			fmt.Fprintf(w, "floor %g: %.0f %% of draws kept, bits 5 %%: %.1f, median: %.1f; %.0f %% of real names are never passed over for them; the floor alone gives an AUC of %.3f, whatever draws\n",
				c.Floor, 100*float64(c.Kept), float64(c.P5), float64(c.P50), 100*float64(c.Reach), float64(c.AUCLeast))
			fmt.Fprintf(w, "  of %d draws %d are one of %d real names not fitted to, %.2f predicted (%.1f standard deviations); equal pairs %d, %.1f predicted; one handle meets at most %.2g of 1e9 names\n",
				c.Draws, c.Observed, c.Names, float64(c.Predicted), float64(c.Z), c.PairsSeen, float64(c.Pairs), c.PerBig)
		})
		if f.floor == 0 {
			break
		}
	}
	return nil
}
