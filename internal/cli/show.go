package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"birdring/canary"
	"birdring/registry"
)

func (a *app) showCommand() *cobra.Command {
	var account, session, out string
	var decoys []string
	cmd := &cobra.Command{
		Use:   "show --account A --out DIR",
		Short: "Hand out an account's own copy of decoys, recorded first",
		Long: `Writes DIR/<decoy>/<photo>.jpg, one for every picture and size, and profile.json: the copy
of each decoy that belongs to the account. Which file is a smaller size of which photo
stands in profile.json. That it was shown is recorded before anything is written. Without --decoy
every shared decoy is shown that is neither burnt nor recalled, and the account's own personal one.`,
		Args: noArgs,
	}
	cmd.Flags().StringVar(&account, "account", "", "the account looking (any string of the platform's)")
	cmd.Flags().StringVar(&session, "session", "", "one session of the account, with copies of its own")
	cmd.Flags().StringArrayVar(&decoys, "decoy", nil, "decoy to show, repeatable (default: see above)")
	cmd.Flags().StringVar(&out, "out", "", "folder to write to")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if account == "" || out == "" {
			return usagef("--account and --out are needed")
		}
		return nil
	}
	cmd.RunE = a.run(func(ctx context.Context, _ []string) (err error) {
		reg, err := a.open(ctx, registry.Options{})
		if err != nil {
			return err
		}
		defer closing(reg, &err)
		return a.show(ctx, reg, account, session, decoys, out)
	})
	return cmd
}

func (a *app) show(ctx context.Context, reg *registry.Registry, account, session string, decoys []string, out string) error {
	if len(decoys) == 0 {
		var err error
		if decoys, err = shownByDefault(ctx, reg, account); err != nil {
			return err
		}
	}
	now := time.Now().UTC()
	var ask []registry.Exposure
	for _, d := range slices.Compact(slices.Sorted(slices.Values(decoys))) {
		ask = append(ask, registry.Exposure{Account: account, Session: session, Decoy: d, Surface: "show", At: now, Kind: registry.Offered})
	}
	if len(ask) == 0 {
		return errors.New("there is no decoy to show; plant some with birdring seed")
	}
	copies, err := reg.Expose(ctx, ask)
	if err != nil {
		return err
	}
	for _, c := range copies {
		if err := a.writeCopy(ctx, reg, c, out); err != nil {
			return err
		}
	}
	return nil
}

// shownByDefault is every shared decoy and the account's own personal one, none that
// is burnt or recalled.
func shownByDefault(ctx context.Context, reg *registry.Registry, account string) ([]string, error) {
	all, err := reg.Decoys(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, d := range all {
		if !d.Burnt.IsZero() || !d.Recalled.IsZero() {
			continue
		}
		if d.Kind == canary.Shared || d.Kind == canary.Personal && d.Account == account {
			ids = append(ids, d.ID)
		}
	}
	return ids, nil
}

// writeCopy writes one decoy's folder; profile.json comes last.
func (a *app) writeCopy(ctx context.Context, reg *registry.Registry, c registry.Copy, out string) error {
	dir := filepath.Join(out, c.Decoy)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return plain(err)
	}
	type photo struct {
		Photo string `json:"photo"`
		File  string `json:"file"`
	}
	row := struct {
		Account string  `json:"account"`
		Decoy   string  `json:"decoy"`
		Handle  string  `json:"handle"`
		Link    *string `json:"link"`
		Photos  []photo `json:"photos"`
	}{c.Account, c.Decoy, c.Handle, orNull(c.Link), []photo{}}
	for _, p := range c.Photos {
		data, err := reg.Rendition(nil, p.Photo, c.Viewer)
		if err != nil {
			return fmt.Errorf("picture %s: %w", p.Photo, err)
		}
		path := filepath.Join(dir, p.Photo+".jpg")
		if err := writeWhole(path, data); err != nil {
			return err
		}
		row.Photos = append(row.Photos, photo{p.Photo, path})
	}
	d, err := reg.Decoy(ctx, c.Decoy)
	if err != nil {
		return err
	}
	if err := writeProfile(filepath.Join(dir, "profile.json"), d, c); err != nil {
		return err
	}
	a.emit(row, func(w io.Writer) {
		link := c.Link
		if link == "" {
			link = "no link"
		}
		fmt.Fprintf(w, "%s  @%s  %s  %d pictures in %s\n", c.Decoy, c.Handle, link, len(row.Photos), dir)
	})
	return nil
}

// writeProfile writes what a platform shows of a decoy: nothing that says it is one.
func writeProfile(path string, d canary.Decoy, c registry.Copy) error {
	type post struct {
		ID      string     `json:"id"`
		Photo   string     `json:"photo"`
		Caption string     `json:"caption"`
		Tags    []string   `json:"tags"`
		Story   bool       `json:"story"`
		At      time.Time  `json:"at"`
		Expires *time.Time `json:"expires"`
	}
	// A photo in several sizes: size_of is the largest, which posts and avatar name.
	type photo struct {
		Photo  string `json:"photo"`
		File   string `json:"file"`
		Width  int    `json:"width"`
		Height int    `json:"height"`
		SizeOf string `json:"size_of"`
	}
	profile := struct {
		Handle      string    `json:"handle"`
		DisplayName string    `json:"display_name"`
		Bio         string    `json:"bio"`
		Locale      string    `json:"locale"`
		Link        *string   `json:"link"`
		Followers   int       `json:"followers"`
		Following   int       `json:"following"`
		Joined      time.Time `json:"joined"`
		Avatar      *string   `json:"avatar"`
		Photos      []photo   `json:"photos"`
		Posts       []post    `json:"posts"`
	}{d.Handle, d.DisplayName, d.Bio, d.Locale, orNull(c.Link), d.Followers, d.Following, d.Joined.UTC(), orNull(d.Avatar), []photo{}, []post{}}
	for _, p := range c.Photos {
		profile.Photos = append(profile.Photos, photo{p.Photo, p.Photo + ".jpg", p.Width, p.Height, p.Group})
	}
	for _, p := range d.Posts {
		q := post{p.ID, p.Photo, p.Caption, orEmpty(p.Tags), p.Story, p.At.UTC(), nil}
		if !p.Expires.IsZero() {
			q.Expires = new(p.Expires.UTC())
		}
		profile.Posts = append(profile.Posts, q)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(profile); err != nil {
		return err
	}
	return writeWhole(path, buf.Bytes())
}

// writeWhole writes a file so that a reader sees all of it or nothing.
func writeWhole(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".birdring-*")
	if err != nil {
		return plain(err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
		return plain(err)
	}
	return nil
}
