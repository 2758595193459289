package canary

import (
	"encoding/json"
	"errors"
	"fmt"
)

// EdgeDecoys is what an edge knows of what it serves besides keys: the file
// decoys.json beside the prepared pictures. Nothing in it is secret from whoever
// may see the decoys.
type EdgeDecoys struct {
	Format    string      `json:"format"` // "birdring-edge-decoys"
	Version   int         `json:"version"`
	PublicURL string      `json:"public_url"` // where links point, without a slash at the end
	Neutral   bool        `json:"neutral"`    // every picture is the neutral copy
	Platforms []string    `json:"platforms"`  // SHA-256, hex, of the API keys of the platform's servers
	Decoys    []EdgeDecoy `json:"decoys"`
}

// EdgeDecoy is a decoy that an edge may put before viewers. Personal decoys are
// none: who is first is known to the registry alone.
type EdgeDecoy struct {
	Decoy  string      `json:"decoy"` // id
	Num    uint32      `json:"num"`   // as sealed into links
	Kind   Kind        `json:"kind"`  // shared or dark
	Handle string      `json:"handle"`
	Photos []EdgePhoto `json:"photos"`
}

// EdgePhoto is one of its pictures.
type EdgePhoto struct {
	Photo  string `json:"photo"`
	Num    uint32 `json:"num"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
	SizeOf string `json:"size_of"` // the largest picture of its photo: itself, or that of which it is a smaller size
}

const (
	edgeDecoysFormat  = "birdring-edge-decoys"
	edgeDecoysVersion = 1
)

// Marshal writes the file.
func (e EdgeDecoys) Marshal() ([]byte, error) {
	e.Format, e.Version = edgeDecoysFormat, edgeDecoysVersion
	return json.MarshalIndent(e, "", " ")
}

// ParseEdgeDecoys reads the file.
func ParseEdgeDecoys(data []byte) (*EdgeDecoys, error) {
	var e EdgeDecoys
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("decoys of an edge are damaged: %w", err)
	}
	switch {
	case e.Format != edgeDecoysFormat:
		return nil, errors.New("this is no file of an edge's decoys: make one with birdring edge export DIR")
	case e.Version != edgeDecoysVersion:
		return nil, fmt.Errorf("decoys of an edge have format %d, this program reads %d: export them anew", e.Version, edgeDecoysVersion)
	}
	for _, d := range e.Decoys {
		if d.Kind != Shared && d.Kind != Dark || d.Num < 1 || d.Num > MaxObject || !isPhotoID(d.Decoy) {
			return nil, fmt.Errorf("decoys of an edge are damaged at %.60q: export them anew", d.Decoy)
		}
		for _, p := range d.Photos {
			if p.Num < 1 || p.Num > MaxObject || !isPhotoID(p.Photo) {
				return nil, fmt.Errorf("decoys of an edge are damaged at picture %.60q: export them anew", p.Photo)
			}
		}
	}
	return &e, nil
}

// EdgeSwitch is what the registry tells running edges through the stream, so that
// nobody has to bring them a new export.
type EdgeSwitch struct {
	Neutral bool `json:"neutral"` // every picture is the neutral copy
}

// Marshal writes the message.
func (e EdgeSwitch) Marshal() []byte {
	return fmt.Appendf(nil, `{"neutral":%t}`, e.Neutral)
}

// ParseEdgeSwitch reads the message. What else stands in it is for newer edges.
func ParseEdgeSwitch(data []byte) (EdgeSwitch, error) {
	var e struct {
		Neutral *bool `json:"neutral"`
	}
	if err := json.Unmarshal(data, &e); err != nil || e.Neutral == nil {
		return EdgeSwitch{}, fmt.Errorf("message to edges %.60q is not understood", data)
	}
	return EdgeSwitch{*e.Neutral}, nil
}
