package crawl_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"birdring/beacon/crawl"
)

const pageURL = "http://clone.example/u/anna?tab=1"

func extract(body string) crawl.Found {
	return crawl.Extract(pageURL, "text/html", "text/html; charset=utf-8", []byte(body))
}

func TestExtractFindsPictures(t *testing.T) {
	for _, c := range []struct{ name, html, want string }{
		{"img", `<img src="/m/a.jpg">`, "http://clone.example/m/a.jpg"},
		{"no extension", `<IMG SRC=pic?id=7&amp;s=2>`, "http://clone.example/u/pic?id=7&s=2"},
		{"lazy", `<img src="data:," data-src="//cdn.example/a.webp" data-lazy-srcset="b.jpg 1x">`, "http://cdn.example/a.webp http://clone.example/u/b.jpg"},
		{"srcset", `<img srcset="/a,w_2/x.jpg 1x, /b.jpg 2x,/c.jpg">`, "http://clone.example/a,w_2/x.jpg http://clone.example/b.jpg http://clone.example/c.jpg"},
		{"source", `<picture><source type="image/avif" srcset="a.avif 2x"><source srcset="b.webp"></picture>`, "http://clone.example/u/a.avif http://clone.example/u/b.webp"},
		{"poster", `<video poster=/p.jpg src=/v.mp4></video>`, "http://clone.example/p.jpg"},
		{"open graph", `<meta property="og:image" content="https://c.example/og.jpg"><meta name="twitter:image" content="/tw">`, "https://c.example/og.jpg http://clone.example/tw"},
		{"style", `<div style="background:URL( '/bg.png' )"></div><style>.a{background-image:url(b.jpg)} @font-face{src:url(f.woff2)}</style>`, "http://clone.example/bg.png http://clone.example/u/b.jpg"},
		{"link to a picture", `<a href="/full/a.JPEG?x=1">see</a>`, "http://clone.example/full/a.JPEG?x=1"},
		{"json", `<script>window.S={"img":"https:\/\/cdn.example\/x\/1.jpg?a=1\u0026b=2","rel":"\/m\/2.png"}</script>`, "https://cdn.example/x/1.jpg?a=1&b=2 http://clone.example/m/2.png"},
		{"json attribute", `<div data-state='{&quot;u&quot;:&quot;https:\/\/cdn.example\/3.jpg&quot;}'></div>`, "https://cdn.example/3.jpg"},
		{"noscript", `<noscript><img src="/n.jpg"></noscript>`, "http://clone.example/n.jpg"},
		{"srcdoc", `<iframe srcdoc="&lt;img src='/d.jpg'&gt;"></iframe>`, "http://clone.example/d.jpg"},
		{"svg", `<svg><image xlink:href="/s.jpg"/></svg>`, "http://clone.example/s.jpg"},
		{"base", `<base href="https://other.example/dir/"><img src="a.jpg">`, "https://other.example/dir/a.jpg"},
		{"odd escapes", "<img src='/100%/a\n.jpg'>", "http://clone.example/100%25/a.jpg"},
		{"twice", `<img src=/a.jpg><img src="/a.jpg#x">`, "http://clone.example/a.jpg"},
		{"unquoted end of script", `<script>a("/x/q.png`, ""},
		{"no fetchable address", `<img src="ftp://x/a.jpg"><img src="javascript:x"><img src="http:///a.jpg">`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := strings.Join(extract(c.html).Images, " "); got != c.want {
				t.Errorf("found %q\nwant  %q", got, c.want)
			}
		})
	}
}

func TestExtractFindsLinks(t *testing.T) {
	got := extract(`<a href="/u/bea">b</a> <a href="?page=2#top">2</a> <area href="//x.example/y"> <a href="mailto:a@b.c">m</a>
		<a href="javascript:void(0)">j</a> <a href="#top">t</a> <iframe src="/frame"></iframe> <link rel="next" href="/p/3">
		<meta http-equiv="refresh" content="5; url='/moved'"> <script>go("https://clone.example/from/script")</script>
		<a href="http://user:secret@clone.example/in">in</a>`).Links
	want := []string{
		"http://clone.example/u/bea", "http://clone.example/u/anna?page=2", "http://x.example/y", "http://clone.example/frame",
		"http://clone.example/p/3", "http://clone.example/moved", "https://clone.example/from/script", "http://clone.example/in",
	}
	if !slices.Equal(got, want) {
		t.Errorf("found %q\nwant  %q", got, want)
	}
}

func TestExtractDecodesInlinePictures(t *testing.T) {
	got := extract(`<img src="data:image/png;base64,aGVs bG8="><div style="background:url('data:image/gif;base64,R0lG')"></div>
		<img src="data:image/svg+xml,%3Csvg/%3E"><img src="data:text/html,no"><script>x="data:image/jpeg;base64,\/9j\/"</script>`).Data
	var s []string
	for _, d := range got {
		s = append(s, fmt.Sprintf("%s %q", d.ContentType, d.Body))
	}
	want := []string{`image/png "hello"`, `image/gif "GIF"`, `image/svg+xml "<svg/>"`, `image/jpeg "\xff\xd8\xff"`}
	if !slices.Equal(s, want) {
		t.Errorf("found %q\nwant  %q", s, want)
	}
}

func TestExtractReadsText(t *testing.T) {
	f := extract(`<!doctype html><title>Anna &amp; friends</title><style>p{}</style><p>an<b>na</b><wbr>.k</p><p>two</p>
		<img alt="a cat" src=x><script>var hidden=1</script><meta name=description content="about anna">`)
	if f.Title != "Anna & friends" || f.Text != "Anna & friends anna.k two a cat about anna" {
		t.Errorf("title %q, text %q", f.Title, f.Text)
	}
}

func TestExtractConvertsCharsets(t *testing.T) {
	for _, c := range []struct{ name, header, body string }{
		{"header", "text/html; charset=iso-8859-1", "<p>J\xe9r\xf4me"},
		{"meta", "text/html", "<meta charset=windows-1252><p>J\xe9r\xf4me"},
		{"utf-16", "text/html", "\xff\xfe<\x00p\x00>\x00J\x00\xe9\x00r\x00\xf4\x00m\x00e\x00"},
		{"nothing said", "text/html", strings.Repeat(" ", 2000) + "<p>Jérôme"},
	} {
		f := crawl.Extract(pageURL, "text/html", c.header, []byte(c.body))
		if f.Text != "Jérôme" || !utf8.Valid(f.UTF8) {
			t.Errorf("%s: text %q, page %q", c.name, f.Text, f.UTF8)
		}
	}
}

func TestExtractReadsJSON(t *testing.T) {
	f := crawl.Extract("http://clone.example/api", "application/json", "application/json",
		[]byte(`{"user":"anna","pics":["https://cdn.example/1.jpg","\/m\/2.webp"],"next":"http:\/\/clone.example\/api?p=2"}`))
	if !slices.Equal(f.Images, []string{"https://cdn.example/1.jpg", "http://clone.example/m/2.webp"}) ||
		!slices.Equal(f.Links, []string{"http://clone.example/api?p=2"}) {
		t.Errorf("images %q, links %q", f.Images, f.Links)
	}
}

func TestExtractIsRepeatableAndBounded(t *testing.T) {
	var b strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&b, `<a data-x="/d%d.png" data-y="e%d.png" href="/l/%d" style="background:url(/s%d)">`, i, i, i, i)
	}
	one, two := extract(b.String()), extract(b.String())
	if !slices.Equal(one.Images, two.Images) || !slices.Equal(one.Links, two.Links) {
		t.Error("the same page gave different lists")
	}
	if len(one.Images) > 1000 || len(one.Links) > 5000 {
		t.Errorf("%d images and %d links from one page", len(one.Images), len(one.Links))
	}
}

func FuzzExtract(f *testing.F) {
	for _, s := range []string{
		"<a href=x>", `<img srcset="a 1x, b 2x">`, `<script>"\u002f\/x.png"</script>`, "<style>a{b:url(", "<noscript><noscript><noscript>",
		`<base href="http://[::1">`, `<img src="data:image/png;base64,====">`, "\xff\xfe<\x00", `{"a":"http:\/\/x"}`,
	} {
		f.Add("text/html", []byte(s))
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		found := crawl.Extract(pageURL, contentType, contentType, body)
		if !utf8.ValidString(found.Text) || strings.Contains(found.Title, "\n") {
			t.Errorf("text %q, title %q", found.Text, found.Title)
		}
		for _, u := range append(found.Links, found.Images...) {
			if !strings.HasPrefix(u, "http://") && !strings.HasPrefix(u, "https://") || strings.ContainsAny(u, " \t\n#") {
				t.Errorf("address %q", u)
			}
		}
	})
}

func TestRegistrable(t *testing.T) {
	for site, want := range map[string]string{
		"http://www.clone.example/u/a": "clone.example",
		"WWW.Clone.Example.":           "clone.example",
		"a.b.example.co.uk":            "example.co.uk",
		"x.github.io":                  "x.github.io",
		"github.io":                    "github.io",
		"http://127.0.0.1:8123/x":      "127.0.0.1:8123",
		"127.0.0.1":                    "127.0.0.1:80",
		"https://127.0.0.1/":           "127.0.0.1:443",
		"http://[::1]:80/":             "[::1]:80",
		"::1":                          "[::1]:80",
		"[::ffff:10.0.0.1]:81":         "10.0.0.1:81",
		"localhost:9000":               "localhost:9000",
		"http://intranet/":             "intranet:80",
		"clone.example:8443":           "clone.example",
		"bücher.example":               "xn--bcher-kva.example",
		"":                             "",
		"http://":                      "",
		"http://%zz/":                  "",
	} {
		if got := crawl.Registrable(site); got != want {
			t.Errorf("Registrable(%q) = %q, want %q", site, got, want)
		}
	}
}
