package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"birdring/canary"
	"birdring/canary/handle"
	"birdring/internal/critic"
	"birdring/registry"
)

func (a *app) decoysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "decoys burn|recall|rotate|check",
		Short: "Burn, recall or rotate a decoy; check how decoys look",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			return usagef("decoys burn, recall, rotate or check")
		},
	}
	cmd.AddCommand(
		a.decoyLife("burn", "Say that a decoy is known to be one: put before nobody any more, its finds say less", (*registry.Registry).Burn),
		a.decoyLife("recall", "Take a decoy down: shown to nobody any more, its finds still matched", (*registry.Registry).Recall),
		a.decoysRotate(), a.decoysCheck())
	return cmd
}

// oneDecoy is cobra's validator of commands that take a decoy.
func oneDecoy(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("one DECOY is wanted; birdring list decoys shows them")
	}
	return nil
}

func (a *app) decoyLife(what, short string, change func(r *registry.Registry, ctx context.Context, decoy, note string) (canary.Decoy, error)) *cobra.Command {
	var note string
	cmd := &cobra.Command{Use: what + " DECOY", Short: short, Args: oneDecoy}
	cmd.Flags().StringVar(&note, "note", "", "why, kept with the decoy")
	cmd.RunE = a.run(func(ctx context.Context, args []string) (err error) {
		reg, err := a.open(ctx, registry.Options{})
		if err != nil {
			return err
		}
		defer closing(reg, &err)
		d, err := change(reg, ctx, args[0], note)
		if err != nil {
			return err
		}
		return a.printState(ctx, reg, &d)
	})
	return cmd
}

func (a *app) printState(ctx context.Context, reg *registry.Registry, d *canary.Decoy) error {
	state, err := reg.State(ctx, d)
	if err != nil {
		return err
	}
	row := struct {
		Decoy     string         `json:"decoy"`
		Handle    string         `json:"handle"`
		State     registry.State `json:"state"`
		Burnt     *string        `json:"burnt"`
		Recalled  *string        `json:"recalled"`
		Successor *string        `json:"successor"`
	}{Decoy: d.ID, Handle: d.Handle, State: state, Successor: orNull(d.Successor)}
	for at, to := range map[*time.Time]**string{&d.Burnt: &row.Burnt, &d.Recalled: &row.Recalled} {
		if !at.IsZero() {
			*to = new(stamp(*at))
		}
	}
	a.emit(row, func(w io.Writer) { fmt.Fprintf(w, "decoy %s  @%s  %s\n", row.Decoy, row.Handle, row.State) })
	return nil
}

func (a *app) decoysRotate() *cobra.Command {
	var f seedFlags
	var note string
	cmd := &cobra.Command{
		Use:   "rotate DECOY",
		Short: "Recall a decoy and plant another of its kind in its place",
		Args:  oneDecoy,
	}
	fl := cmd.Flags()
	fl.StringVar(&note, "note", "", "why, kept with the decoy")
	fl.StringVar(&f.photos, "photos", "", "folder of photos that were not planted yet (default: painted pictures)")
	fl.IntVar(&f.perDecoy, "per-decoy", 6, "pictures, the first is the avatar")
	fl.IntVar(&f.stories, "stories", 0, "how many of them are 24 h stories")
	fl.StringVar(&f.profiles, "profiles", "", "CSV of real profiles' numbers, as for seed")
	f.names.add(cmd)
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if f.perDecoy < 1 || f.perDecoy > 100 || f.stories < 0 || f.stories > 0 && f.stories >= f.perDecoy {
			return usagef("--per-decoy must be 1 to 100, and --stories fewer")
		}
		return f.names.check()
	}
	cmd.RunE = a.run(func(ctx context.Context, args []string) (err error) {
		reg, err := a.open(ctx, registry.Options{})
		if err != nil {
			return err
		}
		defer closing(reg, &err)
		f.decoys = 1 // how many pictures are painted
		q := registry.PlantRequest{PerDecoy: f.perDecoy, Stories: f.stories, MinHandleBits: f.names.floor}
		if err := a.equip(reg, &f, &q); err != nil {
			return err
		}
		old, next, err := reg.Rotate(ctx, args[0], note, q)
		if err != nil {
			return err
		}
		a.printPlanted(next)
		return a.printState(ctx, reg, &old)
	})
	return cmd
}

func (a *app) decoysCheck() *cobra.Command {
	var count int
	var model, profiles string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check decoys by what detectors of fake accounts look at",
		Long: `Draws profiles as seed would, with the data folder's keys and handle model, and prints
what detectors of fake accounts look at, each number with the range it ought to lie in. With
--profiles, a table of real profiles, it also says how well an attacker tells decoys from
them, by each thing alone and by all at once: numbers, and where the table has the columns
handle, display_name, bio, captions (one a line in its field) and posted (times like
2026-11-28T09:30:00Z, blanks between), those too. Handles against more names, with what the
model was fitted to in the attacker's hands, are judged by birdring handles check.`,
		Args: noArgs,
	}
	cmd.Flags().IntVar(&count, "count", 2000, "profiles to draw")
	cmd.Flags().StringVar(&model, "handles", "default", "handle model")
	cmd.Flags().StringVar(&profiles, "profiles", "", "CSV of real profiles: followers,following[,age_days][,bio_length][,handle][,display_name][,bio][,captions][,posted]")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if count < 400 {
			return usagef("--count must be at least 400")
		}
		return nil
	}
	cmd.RunE = a.run(func(ctx context.Context, _ []string) (err error) {
		m, err := readModel(model)
		if err != nil {
			return err
		}
		reg, err := a.open(ctx, registry.Options{ReadOnly: true})
		if err != nil {
			return err
		}
		defer closing(reg, &err)
		like, err := a.population(profiles)
		if err != nil {
			return err
		}
		words, err := realWords(profiles)
		if err != nil {
			return err
		}
		return a.checkDecoys(ctx, reg, m, like, words, count)
	})
	return cmd
}

// realWords reads what the profiles of a table say, nothing if there is no table.
func realWords(file string) ([]critic.Real, error) {
	if file == "" {
		return nil, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	words, err := critic.ReadReal(bufio.NewReader(f))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return words, nil
}

func (a *app) checkDecoys(ctx context.Context, reg *registry.Registry, m *handle.Model, like canary.Population, words []critic.Real, count int) error {
	namer, keys, err := reg.NewNamer(ctx, m, canary.Shared, 0)
	if err != nil {
		return err
	}
	var all []critic.Profile
	now, said := time.Now().UTC(), canary.Said{}
	for i := range count {
		id := fmt.Sprintf("check-%d", i)
		h, _, _, err := namer.Name(ctx, keys.HandleDraw(id), 0)
		if err != nil {
			return err
		}
		draft := keys.Persona(canary.PersonaRequest{Decoy: id, Handle: h, Now: now, Posts: 9, Stories: 1, Like: like, Said: said})
		all = append(all, critic.Profile{Draft: draft, Handle: h, At: now})
	}
	for _, l := range critic.Profiles(all, like, words) {
		a.emit(l, func(w io.Writer) {
			verdict := "ok"
			if !l.OK {
				verdict = "OUT OF RANGE"
			}
			fmt.Fprintf(w, "%-62s %10.3f  (%g to %g)  %s\n", l.What, l.Value, l.Low, l.High, verdict)
		})
		if !l.OK {
			a.failed = true
		}
	}
	return nil
}
