package registry_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"birdring/canary"
	"birdring/canary/handle"
	"birdring/registry"
)

func TestLifeOfADecoy(t *testing.T) {
	t.Parallel()
	r, _ := fresh(t)
	ctx := t.Context()
	all := planted(t, r, registry.PlantRequest{Decoys: 2, PerDecoy: 1, Share: 1})
	a, b := all[0].ID, all[1].ID
	state := func(id string) registry.State {
		d, err := r.Decoy(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.State(ctx, &d)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	visible := func() (out []string) {
		ds, err := r.Visible(ctx, "alice", time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range ds {
			out = append(out, d.ID)
		}
		return out
	}
	show := func(id string) error {
		_, err := r.Expose(ctx, []registry.Exposure{{Account: "alice", Decoy: id, Surface: "test", Kind: registry.Offered}})
		return err
	}
	if s := state(a); s != registry.StatePlanted {
		t.Errorf("a new decoy is %s", s)
	}
	if err := show(a); err != nil || state(a) != registry.StateShown {
		t.Errorf("shown: %v, %s", err, state(a))
	}
	if _, err := r.Burn(ctx, a, "named in a forum"); err != nil {
		t.Fatal(err)
	}
	if got := visible(); state(a) != registry.StateBurnt || len(got) != 1 || got[0] != b {
		t.Errorf("burnt: %s, visible %v", state(a), got)
	}
	if err := show(a); err != nil {
		t.Errorf("whoever asks for a burnt decoy gets it: %v", err)
	}
	if _, err := r.Burn(ctx, a, ""); !errors.Is(err, registry.ErrConflict) {
		t.Errorf("burnt twice: %v", err)
	}
	old, next, err := r.Rotate(ctx, a, "", registry.PlantRequest{PerDecoy: 1, Photos: smalls(t, 9)[7:8]})
	if err != nil {
		t.Fatal(err)
	}
	if state(a) != registry.StateRotated || old.Successor != next.Decoy.ID || next.Decoy.Kind != canary.Shared || next.Decoy.Share != 1 {
		t.Errorf("rotated: %s, successor %s of %+v", state(a), old.Successor, next.Decoy)
	}
	if err := show(a); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("a recalled decoy was shown: %v", err)
	}
	if d, err := r.DecoyByHandle(ctx, old.Handle); err != nil || d.ID != a || d.Burnt.IsZero() || d.LifeNote != "named in a forum" {
		t.Errorf("its handle leads to %+v, %v", d, err)
	}
	if _, err := r.Recall(ctx, "d-nobody", ""); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("recalled nobody: %v", err)
	}
	states := map[string]registry.State{}
	err = r.Rows(ctx, "decoys", time.Time{}, 0, func(row any) error {
		d := row.(registry.DecoyRow)
		states[d.Decoy] = d.State
		return nil
	})
	if err != nil || states[a] != registry.StateRotated || states[b] != registry.StatePlanted {
		t.Errorf("listed %v, %v", states, err)
	}
}

// A handle can be drawn again from key, decoy and counter with the model it names.
func TestHandlesCanBeDrawnAgain(t *testing.T) {
	r, _ := fresh(t)
	d := planted(t, r, registry.PlantRequest{Decoys: 1, Dark: 1, PerDecoy: 1})
	for _, p := range d {
		again, err := r.DrawAgain(t.Context(), p.ID)
		if err != nil || again != p.Handle {
			t.Errorf("@%s is drawn again as %q, %v", p.Handle, again, err)
		}
		least := map[canary.Kind]float64{canary.Shared: 30, canary.Dark: 43}[p.Kind]
		if p.HandleBits < least {
			t.Errorf("%s handle has %v bits", p.Kind, p.HandleBits)
		}
	}
}

func TestNamerPassesOverWhatIsTaken(t *testing.T) {
	keys, err := canary.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	plan, err := canary.DefaultHandleModel().Plan(30)
	if err != nil {
		t.Fatal(err)
	}
	draw := keys.HandleDraw("taken")
	free := registry.Namer{Plan: plan, Given: new(handle.Given)}
	first, _, at, err := free.Name(t.Context(), draw, 0)
	if err != nil {
		t.Fatal(err)
	}
	taken := registry.TakenList{}
	taken.Add(first)
	n := registry.Namer{Plan: plan, Given: new(handle.Given), Taken: taken.Taken, Passed: map[handle.Reason]int{}}
	second, _, next, err := n.Name(t.Context(), draw, 0)
	if err != nil || second == first || next <= at || n.Passed[handle.Taken] != 1 {
		t.Errorf("@%s (%d) after @%s (%d), passed over %v, %v", second, next, first, at, n.Passed, err)
	}
	if third, _, _, err := n.Name(t.Context(), draw, 0); err != nil || third == second {
		t.Errorf("@%s twice, %v", third, err)
	}
	n.Taken = func(context.Context, string) (bool, error) { return true, nil }
	if _, _, _, err := n.Name(t.Context(), draw, 0); err == nil || !strings.Contains(err.Error(), "in a row") {
		t.Errorf("everything is taken, and yet: %v", err)
	}
	n.Taken = func(context.Context, string) (bool, error) { return false, errors.New("no answer") }
	if _, _, _, err := n.Name(t.Context(), draw, 0); err == nil {
		t.Error("a handle was named without asking")
	}
}
