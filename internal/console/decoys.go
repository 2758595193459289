package console

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"birdring/canary"
	"birdring/canary/ring"
	"birdring/registry"
)

// decoysAPage is how many decoys one page shows.
const decoysAPage = 50

// decoysPage is what decoys.html shows.
type decoysPage struct {
	frame
	All        int
	States     []stateCount
	Decoys     []decoyRow
	Older      string // address of the next page, "" on the last
	May        bool   // whether this key may change a decoy
	Did, Wrong string
}

// stateCount is a state's tab.
type stateCount struct {
	State string // "all" for all
	Count int
	Path  string
	Here  bool
}

// decoyRow is a line of the list of decoys.
type decoyRow struct{ registry.DecoyView }

func (d decoyRow) Path() string { return "/decoys/" + url.PathEscape(d.ID) + "/" }

// CanBurn and CanRecall and CanRotate say what may still happen to a decoy.
func (d decoyRow) CanBurn() bool   { return d.Burnt.IsZero() && d.CanRecall() }
func (d decoyRow) CanRecall() bool { return d.Recalled.IsZero() }
func (d decoyRow) CanRotate() bool { return d.Successor == "" }

// Pictures is how many a successor wants.
func (d decoyRow) Pictures() int { return len(d.Posts) + 1 }

// lifeStates are the tabs, in the order of a life.
var lifeStates = []registry.State{registry.StatePlanted, registry.StateShown, registry.StateBurnt, registry.StateRecalled, registry.StateRotated}

func (c *Console) showDecoys(w http.ResponseWriter, r *http.Request) {
	c.decoys(w, r, http.StatusOK, "")
}

// decoys answers with the list; wrong says what could not be done.
func (c *Console) decoys(w http.ResponseWriter, r *http.Request, status int, wrong string) {
	state := registry.State(r.URL.Query().Get("state"))
	skip, err := strconv.Atoi(r.URL.Query().Get("skip"))
	if err != nil || skip < 0 {
		skip = 0
	}
	if state != "" && !slices.Contains(lifeStates, state) {
		http.Error(w, "There is no such state of a decoy.", http.StatusNotFound)
		return
	}
	views, states, err := c.reg.DecoyViews(r.Context(), state, skip, decoysAPage)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	f, err := c.frame(r, "Decoys – Birdring")
	if err != nil {
		c.fail(w, r, err)
		return
	}
	key, _ := keyOf(r.Context())
	p := decoysPage{frame: f, May: key.Role.May(Analyst), Wrong: wrong, Did: did(r.URL.Query())}
	for _, s := range lifeStates {
		p.All += states[s]
		p.States = append(p.States, stateCount{string(s), states[s], "/decoys?state=" + string(s), s == state})
	}
	p.States = slices.Insert(p.States, 0, stateCount{"all", p.All, "/decoys", state == ""})
	for _, v := range views {
		p.Decoys = append(p.Decoys, decoyRow{v})
	}
	of := p.All
	if state != "" {
		of = states[state]
	}
	if skip+len(views) < of {
		p.Older = "/decoys?" + url.Values{"state": {string(state)}, "skip": {strconv.Itoa(skip + len(views))}}.Encode()
	}
	c.render(w, r, status, "decoys.html", p)
}

// lives are what can be done to a decoy from its line, and how it is told.
var lives = map[string]string{"burn": "burnt", "recall": "recalled", "rotate": "rotated"}

// did tells what was done, as the address says after it.
func did(q url.Values) string {
	for what, past := range lives {
		if decoy := q.Get(what); decoy != "" && len(decoy) <= 40 {
			return "Decoy " + decoy + " is " + past + "."
		}
	}
	return ""
}

// mostPhotos bounds the photos of a successor in bytes, mostFields the rest of its form.
const (
	mostPhotos = 256 << 20
	mostFields = 8 << 20
)

// changeDecoy burns, recalls or rotates a decoy as its form asks.
func (c *Console) changeDecoy(w http.ResponseWriter, r *http.Request) {
	key, _ := keyOf(r.Context())
	what, decoy := r.PathValue("what"), r.PathValue("decoy")
	if !key.Role.May(Analyst) {
		c.decoys(w, r, http.StatusForbidden, "This key is of role "+string(key.Role)+": an analyst's is wanted to change a decoy.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, mostPhotos)
	if err := r.ParseMultipartForm(mostFields); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		c.decoys(w, r, http.StatusBadRequest, fmt.Sprintf("The form could not be read: send at most %d MB of photos.", mostPhotos>>20))
		return
	}
	if r.MultipartForm != nil {
		defer r.MultipartForm.RemoveAll() //nolint:errcheck // temporary files; the system clears what is left
	}
	note := r.PostFormValue("note")
	var err error
	switch what {
	case "burn":
		_, err = c.reg.Burn(r.Context(), decoy, note)
	case "recall":
		_, err = c.reg.Recall(r.Context(), decoy, note)
	case "rotate":
		err = c.rotate(r, decoy, note)
	default:
		http.NotFound(w, r)
		return
	}
	switch {
	case err == nil:
		c.log.InfoContext(r.Context(), "decoy changed", "decoy", decoy, "change", lives[what], "key", key.ID)
		http.Redirect(w, r, "/decoys?"+url.Values{what: {decoy}}.Encode(), http.StatusSeeOther)
	case errors.Is(err, registry.ErrNotFound):
		c.decoys(w, r, http.StatusNotFound, err.Error())
	case errors.Is(err, registry.ErrInvalid):
		c.decoys(w, r, http.StatusUnprocessableEntity, err.Error())
	case errors.Is(err, registry.ErrConflict):
		c.decoys(w, r, http.StatusConflict, err.Error())
	default:
		c.fail(w, r, err)
	}
}

// rotate plants the successor from the photos of the form, one picture each.
func (c *Console) rotate(r *http.Request, decoy, note string) error {
	var files []*multipart.FileHeader
	if r.MultipartForm != nil {
		files = slices.DeleteFunc(r.MultipartForm.File["photos"], func(f *multipart.FileHeader) bool { return f.Size == 0 })
	}
	if len(files) == 0 {
		return fmt.Errorf("choose the photos of the new decoy, the avatar first; none of them planted before: %w", registry.ErrInvalid)
	}
	req := registry.PlantRequest{PerDecoy: len(files), Code: ring.D}
	if old, err := c.reg.Decoy(r.Context(), decoy); err == nil {
		req.Stories = min(stories(&old), len(files)-1)
	}
	for _, f := range files {
		req.Photos = append(req.Photos, registry.Photo{Name: f.Filename, Open: func() (io.ReadCloser, error) { return f.Open() }})
	}
	_, next, err := c.reg.Rotate(r.Context(), decoy, note, req)
	if err != nil && len(next.Refused) > 0 {
		err = fmt.Errorf("%w (%s: %s)", err, next.Refused[0].File, next.Refused[0].Reason)
	}
	return err
}

func stories(d *canary.Decoy) (n int) {
	for _, p := range d.Posts {
		if p.Story {
			n++
		}
	}
	return n
}
