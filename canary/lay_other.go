//go:build !amd64

package canary

// fetchFlips does nothing where nobody has measured what it gains.
func fetchFlips([]flip, []uint32) {}

func lay(out []byte, flips []flip, chosen []uint32) { layPlain(out, flips, chosen) }
