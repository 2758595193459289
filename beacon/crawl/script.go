package crawl

import (
	"bytes"
	"strconv"
	"strings"
)

// maxLiteral bounds the address in a string of a script.
const maxLiteral = 2048

// script takes addresses out of JSON, scripts and anything else that is no
// markup: whole addresses anywhere, and relative ones inside quotes if their name
// is that of a picture.
func (c *collector) script(data []byte) {
	data = unescapeJSON(data)
	c.absolute(data)
	c.quoted(data)
}

// absolute takes every http:// and https:// address.
func (c *collector) absolute(data []byte) {
	for {
		i := bytes.Index(data, []byte("://"))
		if i < 0 {
			return
		}
		from := -1
		for _, scheme := range []string{"https", "http"} {
			if bytes.HasSuffix(data[:i], []byte(scheme)) {
				from = i - len(scheme)
				break
			}
		}
		end := i + 3
		for end < len(data) && inAddress(data[end]) {
			end++
		}
		if from >= 0 && end-from <= maxLiteral {
			c.either(strings.TrimRight(string(data[from:end]), ".,;:!?"))
		}
		data = data[end:]
	}
}

// inAddress reports whether a character may stand in an address that was not
// marked as one.
func inAddress(b byte) bool {
	return b > ' ' && b != 0x7f && !strings.ContainsRune("\"'<>`\\()[]{}|^", rune(b))
}

// quoted takes relative addresses of pictures and data: addresses out of string literals.
func (c *collector) quoted(data []byte) {
	for len(data) > 0 {
		i := bytes.IndexAny(data, "\"'`")
		if i < 0 {
			return
		}
		quote := data[i]
		data = data[i+1:]
		end := bytes.IndexByte(data, quote)
		if end < 0 {
			continue
		}
		s := data[:end]
		if bytes.HasPrefix(s, []byte("data:image/")) {
			c.image(string(s))
			data = data[end+1:]
			continue
		}
		if len(s) > maxLiteral || bytes.ContainsAny(s, " \t\r\n<>{}") {
			// Quotes inside text put us out of step: go on right behind this one.
			continue
		}
		if !bytes.Contains(s, []byte("://")) && imageExtensions[extension(string(s))] {
			c.image(string(s))
		}
		data = data[end+1:]
	}
}

// unescapeJSON undoes \/ and \uXXXX for the characters of addresses.
func unescapeJSON(data []byte) []byte {
	if bytes.IndexByte(data, '\\') < 0 {
		return data
	}
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' || i+1 >= len(data) {
			out = append(out, data[i])
			continue
		}
		switch {
		case data[i+1] == '/':
			out = append(out, '/')
			i++
		case data[i+1] == 'u' && i+6 <= len(data):
			n, err := strconv.ParseUint(string(data[i+2:i+6]), 16, 16)
			if err != nil || n <= ' ' || n >= 0x7f || n == '"' || n == '\\' {
				out = append(out, '\\')
				continue
			}
			out = append(out, byte(n))
			i += 5
		default:
			out = append(out, '\\')
		}
	}
	return out
}
