package crawl

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/url"
	"path"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"
)

// Bounds of what one page may name.
const (
	maxLinks   = 5000
	maxImages  = 1000
	maxInlines = 200
	maxNesting = 3 // pages inside attributes and noscript inside a page
)

// Found is what a page holds.
type Found struct {
	UTF8   []byte   // the page in UTF-8; the same bytes if it was in UTF-8 already
	Title  string   // of the page, one line
	Text   string   // what a reader sees, and descriptions of pictures; white space collapsed
	Links  []string // absolute addresses of other pages, in order, each once
	Images []string // absolute addresses of pictures, in order, each once
	Data   []Inline // pictures written into the page itself
}

// Inline is a file written into a page as a data: address.
type Inline struct {
	ContentType string
	Body        []byte
}

// Extract finds links, pictures and text in a page that came from pageURL. It
// reads HTML, and addresses inside anything else that is text: JSON, scripts, XML.
// It never fails: a page that is damaged or no page at all holds less.
func Extract(pageURL, contentType string, header string, body []byte) Found {
	base, err := url.Parse(pageURL)
	if err != nil {
		base = &url.URL{}
	}
	c := &collector{base: base, links: map[string]bool{}, images: map[string]bool{}}
	c.found.UTF8 = toUTF8(body, header)
	if isMarkup(contentType, c.found.UTF8) {
		c.html(c.found.UTF8, 0)
	} else {
		c.script(c.found.UTF8)
		c.text.Write(c.found.UTF8)
	}
	c.found.Text = collapse(c.text.String())
	c.found.Title = collapse(c.found.Title)
	return c.found
}

func isMarkup(contentType string, data []byte) bool {
	switch {
	case strings.Contains(contentType, "html"):
		return true
	case strings.Contains(contentType, "json"), strings.Contains(contentType, "javascript"), strings.Contains(contentType, "css"):
		return false
	}
	return bytes.HasPrefix(bytes.TrimLeft(data, "\ufeff \t\r\n"), []byte("<"))
}

// toUTF8 converts a page by what its header, its first bytes or its meta element
// say. Pages that say nothing and are valid UTF-8 are UTF-8.
func toUTF8(body []byte, contentType string) []byte {
	encoding, name, certain := charset.DetermineEncoding(body[:min(len(body), 1024)], contentType)
	if name == "utf-8" || name == "replacement" || !certain && utf8.Valid(body) {
		return body
	}
	converted, err := encoding.NewDecoder().Bytes(body)
	if err != nil {
		return body
	}
	return bytes.TrimPrefix(converted, []byte("\ufeff"))
}

// collapse makes one space of all white space between words.
func collapse(s string) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
}

type collector struct {
	base          *url.URL
	found         Found
	links, images map[string]bool
	text          strings.Builder
}

// html walks the tags of a page.
func (c *collector) html(data []byte, depth int) {
	z := html.NewTokenizer(bytes.NewReader(data))
	inside := "" // element whose text is no text for readers
	for {
		switch z.Next() {
		case html.ErrorToken:
			return // the end: a tokenizer on bytes in memory has no other error
		case html.TextToken:
			c.pageText(z.Text(), inside, depth)
			inside = ""
		case html.StartTagToken, html.SelfClosingTagToken:
			inside = c.tag(z, depth)
		case html.EndTagToken:
			name, _ := z.TagName()
			c.gap(string(name))
			inside = ""
		}
	}
}

// pageText takes the text that follows a tag.
func (c *collector) pageText(text []byte, inside string, depth int) {
	switch inside {
	case "script":
		c.script(text)
	case "style":
		c.css(string(text))
	case "noscript", "noframes", "noembed", "xmp":
		if depth < maxNesting {
			c.html(text, depth+1)
		}
	case "title":
		if c.found.Title == "" {
			c.found.Title = html.UnescapeString(string(text))
		}
		c.words(html.UnescapeString(string(text)))
	default:
		c.text.WriteString(html.UnescapeString(string(text)))
	}
}

// inline elements do not part words.
var inline = map[string]bool{
	"a": true, "abbr": true, "b": true, "bdi": true, "bdo": true, "em": true, "font": true, "i": true, "mark": true,
	"small": true, "span": true, "strong": true, "u": true, "wbr": true,
}

func (c *collector) gap(element string) {
	if !inline[element] {
		c.text.WriteByte(' ')
	}
}

func (c *collector) words(s string) {
	c.text.WriteByte(' ')
	c.text.WriteString(s)
	c.text.WriteByte(' ')
}

// tag takes what a start tag names and returns the element if its text is special.
func (c *collector) tag(z *html.Tokenizer, depth int) string {
	raw, more := z.TagName()
	name := string(raw)
	c.gap(name)
	var attrs attributes
	for more && len(attrs) < 200 {
		var k, v []byte
		k, v, more = z.TagAttr()
		attrs = append(attrs, attribute{string(k), string(v)})
	}
	c.element(name, attrs, depth)
	c.anyElement(attrs)
	switch name {
	case "script", "style", "noscript", "noframes", "noembed", "xmp", "title":
		return name
	}
	return ""
}

// attributes are those of one tag, in order.
type attributes []attribute

type attribute struct{ key, value string }

// get returns the first value of a name, "" if there is none.
func (a attributes) get(key string) string {
	for _, one := range a {
		if one.key == key {
			return one.value
		}
	}
	return ""
}

// element takes the attributes that mean something on this element.
func (c *collector) element(name string, attrs attributes, depth int) {
	switch name {
	case "base":
		if u, err := c.base.Parse(attrs.get("href")); err == nil && attrs.get("href") != "" {
			c.base = u
		}
	case "a", "area":
		c.either(attrs.get("href"))
	case "link":
		c.linkElement(attrs)
	case "img", "amp-img", "source", "embed", "video", "audio", "track", "input":
		if name == "img" || name == "amp-img" || name == "source" && attrs.get("type") != "" && strings.HasPrefix(attrs.get("type"), "image/") ||
			name == "input" && strings.EqualFold(attrs.get("type"), "image") {
			c.image(attrs.get("src"))
		} else {
			c.ifImage(attrs.get("src"))
		}
		c.image(attrs.get("poster"))
	case "image", "use": // inside svg
		c.ifAny(c.image, attrs.get("href"), attrs.get("xlink:href"))
	case "object":
		c.ifImage(attrs.get("data"))
	case "iframe", "frame":
		c.link(attrs.get("src"))
		if doc := attrs.get("srcdoc"); doc != "" && depth < maxNesting {
			c.html([]byte(doc), depth+1)
		}
	case "meta":
		c.meta(attrs)
	}
}

func (c *collector) ifAny(take func(string), values ...string) {
	for _, v := range values {
		if v != "" && !strings.HasPrefix(v, "#") {
			take(v)
		}
	}
}

func (c *collector) linkElement(attrs attributes) {
	rel := strings.ToLower(attrs.get("rel"))
	switch {
	case strings.Contains(rel, "icon"), strings.Contains(rel, "image_src"), strings.Contains(rel, "pre") && attrs.get("as") == "image":
		c.image(attrs.get("href"))
	case strings.Contains(rel, "next"), strings.Contains(rel, "prev"), strings.Contains(rel, "canonical"), strings.Contains(rel, "alternate"):
		c.link(attrs.get("href"))
	}
}

// meta takes pictures and descriptions of link previews, and refreshes.
func (c *collector) meta(attrs attributes) {
	content := attrs.get("content")
	name := strings.ToLower(attrs.get("property") + attrs.get("name") + attrs.get("itemprop"))
	switch {
	case strings.EqualFold(attrs.get("http-equiv"), "refresh"):
		if _, to, ok := strings.Cut(content, "="); ok {
			c.link(strings.Trim(to, `"' `))
		}
	case strings.HasSuffix(name, "image"), strings.HasSuffix(name, "image:src"), strings.HasSuffix(name, "image:url"),
		strings.HasSuffix(name, "image:secure_url"), strings.HasSuffix(name, "thumbnail"), strings.HasSuffix(name, "thumbnailurl"):
		c.image(content)
	case strings.HasSuffix(name, "url"):
		c.either(content)
	case strings.Contains(name, "title"), strings.Contains(name, "description"), name == "author", strings.HasSuffix(name, "creator"):
		c.words(content)
	}
}

// anyElement takes attributes that mean the same everywhere, among them those
// from which scripts load pictures later.
func (c *collector) anyElement(attrs attributes) {
	for _, a := range attrs {
		k, v := a.key, a.value
		switch {
		case v == "":
		case k == "style":
			c.css(v)
		case k == "alt" || k == "title" || k == "aria-label":
			c.words(v)
		case strings.HasSuffix(k, "srcset"):
			c.srcset(v)
		case k == "background":
			c.image(v)
		case strings.HasPrefix(k, "data-"):
			if strings.ContainsAny(v, "{[") || strings.HasPrefix(k, "data-bg") {
				c.css(v)
				c.script([]byte(v))
			} else {
				c.ifImage(v)
			}
		}
	}
}

// srcset takes the candidates of a srcset attribute. Addresses may hold commas,
// so a candidate ends at white space, and its size at the next comma.
func (c *collector) srcset(s string) {
	for s != "" {
		s = strings.TrimLeft(s, " \t\r\n\f,")
		end := strings.IndexAny(s, " \t\r\n\f")
		if end < 0 {
			end = len(s)
		}
		candidate := s[:end]
		s = s[end:]
		if trimmed := strings.TrimRight(candidate, ","); trimmed != candidate {
			c.image(trimmed)
			continue
		}
		c.image(candidate)
		_, s, _ = strings.Cut(s, ",")
	}
}

// css takes the addresses in url(...).
func (c *collector) css(s string) {
	for {
		i := indexFold(s, "url(")
		if i < 0 {
			return
		}
		s = s[i+len("url("):]
		end := strings.IndexByte(s, ')')
		if end < 0 {
			return
		}
		v := strings.Trim(s[:end], " \t\r\n\"'")
		s = s[end:]
		if !strings.HasPrefix(v, "#") {
			c.css1(v)
		}
	}
}

// css1 takes an address out of a style sheet: a picture unless its name says otherwise.
func (c *collector) css1(v string) {
	switch ext := extension(v); {
	case strings.HasPrefix(v, "data:"), ext == "", imageExtensions[ext]:
		c.image(v)
	}
}

func indexFold(s, lower string) int {
	for i := 0; i+len(lower) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(lower)], lower) {
			return i
		}
	}
	return -1
}

// image takes the address of a picture.
func (c *collector) image(raw string) {
	raw = strings.TrimSpace(raw)
	if len(raw) > 5 && strings.EqualFold(raw[:5], "data:") {
		c.inline(raw)
		return
	}
	if len(c.found.Images) < maxImages {
		if u := c.resolve(raw); u != "" && !c.images[u] {
			c.images[u] = true
			c.found.Images = append(c.found.Images, u)
		}
	}
}

// ifImage takes an address only if its name is that of a picture.
func (c *collector) ifImage(raw string) {
	if strings.HasPrefix(raw, "data:image/") || imageExtensions[extension(raw)] {
		c.image(raw)
	}
}

// either takes a link, which may lead straight to a picture.
func (c *collector) either(raw string) {
	if imageExtensions[extension(raw)] {
		c.image(raw)
		return
	}
	c.link(raw)
}

// link takes the address of a page.
func (c *collector) link(raw string) {
	if len(c.found.Links) < maxLinks {
		if u := c.resolve(raw); u != "" && !c.links[u] {
			c.links[u] = true
			c.found.Links = append(c.found.Links, u)
		}
	}
}

// resolve makes an address absolute; "" if it cannot be fetched.
func (c *collector) resolve(raw string) string {
	raw = strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' {
			return -1
		}
		return r
	}, strings.TrimSpace(raw))
	if raw == "" || raw[0] == '#' || len(raw) > maxURL {
		return ""
	}
	ref, err := url.Parse(raw)
	if err != nil {
		if ref, err = url.Parse(escapePercents(raw)); err != nil {
			return ""
		}
	}
	u, err := checkURL(c.base.ResolveReference(ref).String())
	if err != nil {
		return ""
	}
	return u.String()
}

// escapePercents makes percent signs literal that begin no escape, as browsers do.
func escapePercents(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte(s[i])
		if s[i] == '%' && (i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2])) {
			b.WriteString("25")
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// inline decodes a data: address that holds a picture.
func (c *collector) inline(raw string) {
	head, payload, ok := strings.Cut(raw[len("data:"):], ",")
	if !ok || len(c.found.Data) >= maxInlines {
		return
	}
	kind, isBase64 := strings.CutSuffix(strings.ToLower(head), ";base64")
	kind, _, _ = strings.Cut(kind, ";")
	if !strings.HasPrefix(kind, "image/") {
		return
	}
	if unescaped, err := url.PathUnescape(payload); err == nil {
		payload = unescaped
	}
	data := []byte(payload)
	if isBase64 {
		d := base64.NewDecoder(base64.RawStdEncoding, strings.NewReader(base64Only(payload)))
		var err error
		// A cut-off end still leaves the beginning of a picture.
		if data, err = io.ReadAll(d); err != nil && len(data) == 0 {
			return
		}
	}
	c.found.Data = append(c.found.Data, Inline{kind, data})
}

// base64Only drops padding and white space and accepts the URL alphabet too.
func base64Only(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '-':
			return '+'
		case '_':
			return '/'
		case '=', ' ', '\t', '\r', '\n':
			return -1
		}
		return r
	}, s)
}

var imageExtensions = map[string]bool{
	"jpg": true, "jpeg": true, "jpe": true, "jfif": true, "pjpeg": true, "png": true, "webp": true, "gif": true,
	"bmp": true, "tif": true, "tiff": true, "avif": true, "heic": true, "heif": true,
}

// extension is the lower-case extension of the last part of an address's path.
func extension(raw string) string {
	raw, _, _ = strings.Cut(raw, "#")
	raw, _, _ = strings.Cut(raw, "?")
	ext := path.Ext(raw)
	if len(ext) < 2 || len(ext) > 6 {
		return ""
	}
	return strings.ToLower(ext[1:])
}
