package canary

// fetchFlips asks for the chosen flips and waits for none. Go has no such statement:
// a load that nobody needs yet has to arrive before the processor finishes what comes
// after it.
//
//go:noescape
func fetchFlips(flips []flip, chosen []uint32)

// lay is layPlain, 16 bytes at a time. It trusts what newForms made: every flip lies
// in out, and 4 bytes before it do.
//
//go:noescape
func lay(out []byte, flips []flip, chosen []uint32)
