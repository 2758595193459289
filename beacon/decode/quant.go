package decode

import "encoding/binary"

// zigzag[k] is the natural-order place of the k-th stored coefficient.
var zigzag = [64]byte{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// jpegQuant reads the quantiser of the first component, nil when the file
// states none before its first scan.
func jpegQuant(data []byte) *[64]uint16 {
	var table [4]*[64]uint16
	chosen := -1
	jpegSegments(data, func(marker byte, body []byte) bool {
		switch marker {
		case 0xdb:
			for len(body) > 0 {
				wide, id := int(body[0]>>4)&1, body[0]&3
				if len(body) < 1+64*(wide+1) {
					return false
				}
				q := new([64]uint16)
				for k := range q {
					if wide == 1 {
						q[zigzag[k]] = binary.BigEndian.Uint16(body[1+2*k:])
					} else {
						q[zigzag[k]] = uint16(body[1+k])
					}
				}
				table[id] = q
				body = body[1+64*(wide+1):]
			}
		case 0xc0, 0xc1, 0xc2:
			if len(body) >= 9 {
				chosen = int(body[8] & 3)
			}
		}
		return true
	})
	if chosen < 0 {
		return nil
	}
	return table[chosen]
}
