package cli

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"birdring/canary"
	"birdring/canary/handle"
	"birdring/canary/jpeg"
	"birdring/canary/ring"
	"birdring/internal/demo"
	"birdring/registry"
)

// seedFlags are the flags of seed.
type seedFlags struct {
	decoys, personal, dark int
	share                  float64
	photos                 string
	perDecoy, stories      int
	code                   string
	names                  namerFlags
	profiles               string
	sizes                  []int
	like                   []string
	paintSeed              uint64
}

func (a *app) seedCommand() *cobra.Command {
	var f seedFlags
	cmd := &cobra.Command{
		Use:   "seed",
		Short: "Plant decoys: personas with handles, photos, posts and stories",
		Long: `Plants decoys from a folder of photos (JPEG, PNG, WebP), each photo in one decoy only.
Metadata is dropped, orientation applied, the longer side reduced to 1080 px, or with --sizes
to each size given: every size is a picture with a ring of its own, for thumbnails and avatars
as the platform needs them. --like learns what the platform's own files look like. Without
--photos Birdring paints pictures itself, good enough to try it.`,
	}
	fl := cmd.Flags()
	fl.IntVar(&f.decoys, "decoys", 0, "shared decoys to plant (default 1 if no other kind is asked for)")
	fl.IntVar(&f.personal, "personal", 0, "personal decoys to plant, each for the first account it is shown to")
	fl.IntVar(&f.dark, "dark", 0, "dark decoys to plant, each for one probe")
	fl.Float64Var(&f.share, "share", 0.25, "share of accounts before which a shared decoy is put")
	fl.StringVar(&f.photos, "photos", "", "folder of photos (default: painted pictures)")
	fl.IntVar(&f.perDecoy, "per-decoy", 6, "pictures of a decoy, the first is the avatar")
	fl.IntVar(&f.stories, "stories", -1, "how many of them are 24 h stories (default 1 if there is more than one picture)")
	fl.StringVar(&f.code, "code", "D", "codebook: D traces mixed copies, D6 those of farms of 24 and more too, U needs fewer segments for a single copy")
	fl.StringVar(&f.profiles, "profiles", "", "CSV of real profiles' numbers to draw decoys' from: followers,following[,age_days][,bio_length]")
	f.names.add(cmd)
	fl.Uint64Var(&f.paintSeed, "paint-seed", 0, "seed of painted pictures (default: drawn and printed)")
	fl.IntSliceVar(&f.sizes, "sizes", nil, "longer sides in pixels, such as 150,320,640,1080 (default 1080)")
	fl.StringArrayVar(&f.like, "like", nil, "JPEG file of the platform's own to make files like, repeatable")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(f.like) > 0 {
			f.like = append(f.like, args...) // --like platform/*.jpg
			return nil
		}
		return noArgs(cmd, args)
	}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return f.check(cmd) }
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error { return a.seed(ctx, f) })
	return cmd
}

// check completes the flags and refuses impossible ones.
func (f *seedFlags) check(cmd *cobra.Command) error {
	set := cmd.Flags().Changed
	if !set("decoys") && !set("personal") && !set("dark") {
		f.decoys = 1
	}
	if !set("stories") {
		f.stories = min(1, f.perDecoy-1)
	}
	switch {
	case f.decoys < 0 || f.personal < 0 || f.dark < 0:
		return usagef("--decoys, --personal and --dark cannot be negative")
	case f.decoys+f.personal+f.dark == 0:
		return usagef("nothing to plant: ask for --decoys, --personal or --dark")
	case f.perDecoy < 1 || f.perDecoy > 100:
		return usagef("--per-decoy must be 1 to 100")
	case f.stories < 0 || f.stories >= f.perDecoy && f.stories > 0:
		return usagef("--stories must be 0 to %d: the first picture is the avatar", f.perDecoy-1)
	case !(f.share > 0 && f.share <= 1):
		return usagef("--share must be above 0 and at most 1")
	case slices.ContainsFunc(f.sizes, func(n int) bool { return n < 64 || n > 4096 }) || len(f.sizes) > 16:
		return usagef("--sizes must be up to 16 numbers from 64 to 4096, such as 150,320,640,1080")
	}
	if err := f.names.check(); err != nil {
		return err
	}
	if _, err := ring.ParseCode(f.code); err != nil {
		return usagef("--code must be D or U")
	}
	return nil
}

func (a *app) seed(ctx context.Context, f seedFlags) (err error) {
	dialect, err := a.learn(f.like)
	if err != nil {
		return err
	}
	reg, err := a.open(ctx, registry.Options{})
	if err != nil {
		return err
	}
	defer closing(reg, &err)
	code, err := ring.ParseCode(f.code)
	if err != nil {
		return err
	}
	q := registry.PlantRequest{
		Decoys: f.decoys, Personal: f.personal, Dark: f.dark, Share: f.share,
		PerDecoy: f.perDecoy, Stories: f.stories, Code: code, Sizes: f.sizes, Dialect: dialect, MinHandleBits: f.names.floor,
	}
	if err := a.equip(reg, &f, &q); err != nil {
		return err
	}
	step, done := a.progress("planting")
	q.Progress = step
	planted, err := reg.Plant(ctx, q)
	done()
	for _, p := range planted {
		a.printPlanted(p)
	}
	return err
}

// learn finds the dialect of the platform's own files; nil if there are none.
func (a *app) learn(files []string) (*jpeg.Dialect, error) {
	if len(files) == 0 {
		return nil, nil
	}
	var samples []jpeg.Sample
	for _, path := range files {
		data, err := readFile(path)
		if err != nil {
			return nil, err
		}
		samples = append(samples, jpeg.Sample{Name: path, Data: data})
	}
	d, notes, err := jpeg.Learn(samples)
	if err != nil {
		return nil, fmt.Errorf("--like %w: colour JPEG files as the platform serves them are wanted", err)
	}
	a.note("files are made like yours: %s", d)
	for _, n := range notes {
		a.note("%s", n)
	}
	return d, nil
}

// equip gives a planting its photos, handles and numbers, and says once what is only
// good enough to try it.
func (a *app) equip(reg *registry.Registry, f *seedFlags, q *registry.PlantRequest) (err error) {
	if q.Photos, err = a.seedPhotos(*f); err != nil {
		return err
	}
	if q.AvoidHandle, q.TakenHandle, err = a.filters(&f.names); err != nil {
		return err
	}
	if q.Like, err = a.population(f.profiles); err != nil {
		return err
	}
	q.Handles, err = a.handleModel(reg, f.names.model)
	return err
}

// population reads the table of --profiles, and says what is used without one.
func (a *app) population(file string) (canary.Population, error) {
	if file == "" {
		a.note("names, bios and captions come from the bundled persona lists, followers and following from usual numbers: whoever has read Birdring's source knows them; give your own profiles' numbers with --profiles")
		return nil, nil
	}
	in, _, err := a.openNames(file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	p, err := canary.ReadPopulation(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	a.note("names, bios and captions come from the bundled persona lists: whoever has read Birdring's source knows them")
	return p, nil
}

// handleModel reads the model to draw handles with and says so if nothing better than
// the bundled one is there; nil then.
func (a *app) handleModel(reg *registry.Registry, file string) (*handle.Model, error) {
	m, err := readModel(file)
	if m == nil && err == nil {
		m, err = reg.HandleModel()
	}
	if m == nil && err == nil {
		a.note("using the bundled handle model: whoever has read Birdring's source knows it; for real use fit one to your platform with birdring handles fit")
	}
	return m, err
}

// seedPhotos opens nothing yet: it names the photos of the folder, or painted ones.
func (a *app) seedPhotos(f seedFlags) ([]registry.Photo, error) {
	if f.photos == "" {
		return a.paintedPhotos(f), nil
	}
	files, others, err := pictures(f.photos)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no photos in %s: a folder of JPEG, PNG or WebP files is needed", f.photos)
	}
	if others > 0 {
		a.note("files in %s that are no pictures, left aside: %d", f.photos, others)
	}
	photos := make([]registry.Photo, 0, len(files))
	for _, path := range files {
		name, err := filepath.Rel(f.photos, path)
		if err != nil {
			name = path
		}
		photos = append(photos, registry.Photo{Name: name, Open: func() (io.ReadCloser, error) { return os.Open(path) }})
	}
	return photos, nil
}

// paintedPhotos are painted when they are opened.
func (a *app) paintedPhotos(f seedFlags) []registry.Photo {
	seed := f.paintSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	need := (f.decoys + f.personal + f.dark) * f.perDecoy
	a.note("painting %d pictures, seed %d: whoever has read Birdring's source knows painted pictures and bundled personas; for real use give --photos", need, seed)
	return demo.Supply(seed, need)
}

func (a *app) printPlanted(p registry.Planted) {
	type photo struct {
		Photo    string `json:"photo"`
		File     string `json:"file"`
		Width    int    `json:"width"`
		Height   int    `json:"height"`
		Segments int    `json:"segments"`
		SizeOf   string `json:"size_of"` // the largest picture of the photo: itself unless --sizes made smaller ones
	}
	type refused struct {
		File   string `json:"file"`
		Reason string `json:"reason"`
	}
	row := struct {
		Decoy       string    `json:"decoy"`
		Kind        string    `json:"kind"`
		Handle      string    `json:"handle"`
		DisplayName string    `json:"display_name"`
		Photos      []photo   `json:"photos"`
		Refused     []refused `json:"refused"`
	}{p.Decoy.ID, string(p.Decoy.Kind), p.Decoy.Handle, p.Decoy.DisplayName, []photo{}, []refused{}}
	for _, q := range p.Photos {
		row.Photos = append(row.Photos, photo{q.Photo, q.File, q.Width, q.Height, q.Segments, q.Group})
	}
	for _, q := range p.Refused {
		row.Refused = append(row.Refused, refused{q.File, q.Reason})
	}
	a.emit(row, func(w io.Writer) {
		fmt.Fprintf(w, "%s decoy %s  @%s  %s\n", row.Kind, row.Decoy, row.Handle, printable(row.DisplayName))
		table(w, "", func(cells func(...any)) {
			for _, q := range row.Photos {
				cells(" ", q.Photo, q.File, fmt.Sprintf("%d x %d", q.Width, q.Height), fmt.Sprintf("%d segments", q.Segments))
			}
			for _, q := range row.Refused {
				cells(" ", "refused", q.File, q.Reason)
			}
		})
	})
}
