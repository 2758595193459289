package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFile bounds what is read of one suspect file; decoding has its own limits.
const maxFile = 20 << 20

// readFile reads a whole file that is not larger than maxFile.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, plain(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, plain(err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d MB", path, maxFile>>20)
	}
	return data, nil
}

// plain drops the system call's name from a file error.
func plain(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("%s: %w", p.Path, p.Err)
	}
	return err
}

// pictures lists the files below dir that claim to be a picture by name or by
// content, sorted, and how many others there are. Hidden files and folders are passed over.
func pictures(dir string) (files []string, others int, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return plain(err)
		case strings.HasPrefix(e.Name(), ".") && path != dir:
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		case e.IsDir() || !regular(path):
			return nil
		case pictureName(path) || pictureContent(path):
			files = append(files, path)
		default:
			others++
		}
		return nil
	})
	slices.Sort(files)
	return files, others, err
}

// regular follows links, and keeps pipes and devices from being opened.
func regular(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

func pictureName(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff":
		return true
	}
	return false
}

func pictureContent(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 12)
	n, _ := io.ReadFull(f, head)
	head = head[:n]
	for _, magic := range []string{"\xff\xd8\xff", "\x89PNG\r\n", "GIF8", "II*\x00", "MM\x00*"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return bytes.HasPrefix(head, []byte("RIFF")) && bytes.HasSuffix(head, []byte("WEBP"))
}
