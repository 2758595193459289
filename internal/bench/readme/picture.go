package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/chromedp/chromedp"
)

// takePicture logs in to the console, opens the page of a site and writes a PNG
// of what the browser shows.
func takePicture(ctx context.Context, address, token, site, path string) error {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		return errors.New("chromium is not installed: it takes the picture of the console")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browser), chromedp.NoSandbox, chromedp.DisableGPU)...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	err = chromedp.Do(ctx,
		chromedp.EmulateViewport(1180, 1330),
		chromedp.Navigate(address),
		chromedp.SendKeys(`input[name="token"]`, token),
		chromedp.Submit(`input[name="token"]`),
		chromedp.WaitVisible(`a[href^="/site/"]`),
		chromedp.Navigate(address+"/site/"+url.PathEscape(site)),
		chromedp.WaitVisible(`main img`),
		// Pictures are drawn on demand.
		chromedp.Poll[chromedp.Void](`Array.from(document.images).slice(0, 4).every(i => i.complete && i.naturalWidth > 0)`),
	)
	if err != nil {
		return fmt.Errorf("open the console: %w", err)
	}
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return fmt.Errorf("take the picture: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, png, 0o644)
}
