// Package house holds the rules about which package may import which.
//
// The arrows are main -> internal -> registry -> beacon -> canary; nothing
// points back. Pure packages compute only: they import no clock, no system, no
// network, no logger and no database directly, so that what they say depends on
// their inputs alone.
package house

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Package is what `go list -json` says of one package of the module.
type Package struct {
	ImportPath string
	Imports    []string
}

// layers from the bottom up; a package may import its own layer and those below.
var layers = []string{"canary", "beacon", "registry", "internal", "main"}

// pure packages, by import path below the module.
var pure = []string{
	"canary/ring", "canary/mark", "canary/jpeg", "canary/handle", "beacon/find", "beacon/text", "beacon/decode", "beacon/decode/vp8",
	"internal/assay/change",
}

// outside is what a pure package must not import.
var outside = []string{"time", "os", "net", "log", "database/sql"}

// Check returns every breach of the rules by the packages of module, one sentence each.
func Check(module string, packages []Package) []string {
	var breaches []string
	for _, p := range packages {
		from, ok := inside(module, p.ImportPath)
		if !ok {
			continue
		}
		if slices.Index(layers, layer(from)) < 0 {
			breaches = append(breaches, fmt.Sprintf("%s lies in no layer: the house has only %s", p.ImportPath, strings.Join(layers, ", ")))
			continue
		}
		for _, imp := range p.Imports {
			if to, ok := inside(module, imp); ok && slices.Index(layers, layer(to)) > slices.Index(layers, layer(from)) {
				breaches = append(breaches, fmt.Sprintf("%s imports %s: %s must not point back to %s", p.ImportPath, imp, layer(from), layer(to)))
			}
			if slices.Contains(pure, from) && forbidden(imp) {
				breaches = append(breaches, fmt.Sprintf("%s imports %s: it is a pure package", p.ImportPath, imp))
			}
		}
	}
	return breaches
}

// inside strips the module from an import path; ok is false for foreign ones.
func inside(module, imp string) (rest string, ok bool) {
	if imp == module {
		return "main", true
	}
	return strings.CutPrefix(imp, module+"/")
}

// layer is the top folder of a package.
func layer(rest string) string {
	top, _, _ := strings.Cut(rest, "/")
	return path.Clean(top)
}

// forbidden reports whether a pure package must not import imp: the named
// packages and everything below them.
func forbidden(imp string) bool {
	return slices.ContainsFunc(outside, func(o string) bool { return imp == o || strings.HasPrefix(imp, o+"/") })
}
