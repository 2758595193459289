package ledger

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	_ "crypto/sha512" // hashes that authorities sign with
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"
)

// A time stamp (RFC 3161) is somebody else's word that a head existed at a time.
// github.com/digitorus/timestamp does the same but its newest versions ask for a
// newer Go than ours; what is needed of the format is below.

// ErrStamp is wrapped by errors about an answer that is no stamp of the head.
var ErrStamp = errors.New("no time stamp of this head")

var (
	oidSHA256        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidANSIX962      = asn1.ObjectIdentifier{1, 2, 840, 10045}
)

type messageImprint struct {
	Algorithm pkix.AlgorithmIdentifier
	Digest    []byte
}

type stampRequest struct {
	Version int
	Imprint messageImprint
	Nonce   *big.Int
	CertReq bool
}

type stampResponse struct {
	Status struct {
		Status int
		Rest   []asn1.RawValue `asn1:"optional"`
	}
	Token asn1.RawValue `asn1:"optional"`
}

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,tag:0"`
}

type signedData struct {
	Version    int
	Digests    asn1.RawValue
	Content    encapsulated
	Certs      asn1.RawValue `asn1:"optional,tag:0"`
	CRLs       asn1.RawValue `asn1:"optional,tag:1"`
	SignerInfo []signerInfo  `asn1:"set"`
}

type encapsulated struct {
	Type    asn1.ObjectIdentifier
	Content []byte `asn1:"explicit,tag:0"`
}

type signerInfo struct {
	Version   int
	Signer    issuerAndSerial
	Digest    pkix.AlgorithmIdentifier
	Attrs     asn1.RawValue `asn1:"tag:0"`
	Signing   pkix.AlgorithmIdentifier
	Signature []byte
	Unsigned  asn1.RawValue `asn1:"optional,tag:1"`
}

type issuerAndSerial struct {
	Issuer asn1.RawValue
	Serial *big.Int
}

type attribute struct {
	Type   asn1.ObjectIdentifier
	Values asn1.RawValue `asn1:"set"`
}

type tstInfo struct {
	Version int
	Policy  asn1.ObjectIdentifier
	Imprint messageImprint
	Serial  *big.Int
	Time    time.Time     `asn1:"generalized"`
	Rest    asn1.RawValue `asn1:"optional"`
}

// StampRequest asks for a stamp of a signed head. nonce must come back with it.
func StampRequest(checkpoint []byte) (request []byte, err error) {
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(checkpoint)
	return asn1.Marshal(stampRequest{1, messageImprint{pkix.AlgorithmIdentifier{Algorithm: oidSHA256, Parameters: asn1.NullRawValue}, sum[:]}, nonce, true})
}

// Stamp is what an authority says.
type Stamp struct {
	At   time.Time
	By   string // subject of the certificate
	Cert *x509.Certificate
	pool *x509.CertPool // the other certificates it sent
}

// Stamped asks an authority for a stamp of a head and checks it. The answer, as it
// is, is what openssl ts -verify reads.
func Stamped(ctx context.Context, client *http.Client, url string, checkpoint []byte) ([]byte, *Stamp, error) {
	ask, err := StampRequest(checkpoint)
	if err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(ask))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", "application/timestamp-query")
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("time stamp authority: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, nil, fmt.Errorf("time stamp authority: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("time stamp authority answers %s", resp.Status)
	}
	s, err := OpenStamp(data, checkpoint)
	return data, s, err
}

// OpenStamp checks an authority's answer: that it is about this head, and that the
// certificate in it signed it. Whether the authority is to be trusted is Trusted's.
func OpenStamp(response, checkpoint []byte) (*Stamp, error) {
	bad := func(format string, args ...any) (*Stamp, error) {
		return nil, fmt.Errorf("%w: %s", ErrStamp, fmt.Sprintf(format, args...))
	}
	var r stampResponse
	if rest, err := asn1.Unmarshal(response, &r); err != nil || len(rest) > 0 {
		return bad("the answer is not in the form of RFC 3161")
	}
	if r.Status.Status > 1 {
		return bad("the authority refuses with status %d", r.Status.Status)
	}
	var info contentInfo
	if _, err := asn1.Unmarshal(r.Token.FullBytes, &info); err != nil || !info.Type.Equal(oidSignedData) {
		return bad("there is no signed data in it")
	}
	var d signedData
	if _, err := asn1.Unmarshal(info.Content.Bytes, &d); err != nil || !d.Content.Type.Equal(oidTSTInfo) || len(d.SignerInfo) != 1 {
		return bad("its signed data is no time stamp by one signer")
	}
	var t tstInfo
	if _, err := asn1.Unmarshal(d.Content.Content, &t); err != nil {
		return bad("its time cannot be read: %v", err)
	}
	sum := sha256.Sum256(checkpoint)
	if !t.Imprint.Algorithm.Algorithm.Equal(oidSHA256) || !bytes.Equal(t.Imprint.Digest, sum[:]) {
		return bad("it is of something else")
	}
	certs, err := x509.ParseCertificates(d.Certs.Bytes)
	if err != nil {
		return bad("its certificates cannot be read: %v", err)
	}
	s := &Stamp{At: t.Time.UTC(), pool: x509.NewCertPool()}
	for _, c := range certs {
		if c.SerialNumber.Cmp(d.SignerInfo[0].Signer.Serial) == 0 && bytes.Equal(c.RawIssuer, d.SignerInfo[0].Signer.Issuer.FullBytes) {
			s.Cert, s.By = c, c.Subject.String()
		} else {
			s.pool.AddCert(c)
		}
	}
	if s.Cert == nil {
		return bad("the signer's certificate is missing in it")
	}
	if err := d.SignerInfo[0].check(s.Cert, d.Content.Content); err != nil {
		return bad("%v", err)
	}
	return s, nil
}

// check verifies the signature over the attributes, and that they are of the content.
func (i *signerInfo) check(cert *x509.Certificate, content []byte) error {
	hash, ok := hashOf(i.Digest.Algorithm)
	if !ok {
		return fmt.Errorf("digest %v is not known", i.Digest.Algorithm)
	}
	h := hash.New()
	h.Write(content)
	typed, digested := false, false
	for rest := i.Attrs.Bytes; len(rest) > 0; {
		var a attribute
		var err error
		if rest, err = asn1.Unmarshal(rest, &a); err != nil {
			return fmt.Errorf("attributes: %v", err)
		}
		switch {
		case a.Type.Equal(oidMessageDigest):
			var sum []byte
			if _, err := asn1.Unmarshal(a.Values.Bytes, &sum); err != nil || !bytes.Equal(sum, h.Sum(nil)) {
				return errors.New("the signature is of another time")
			}
			digested = true
		case a.Type.Equal(oidContentType):
			var of asn1.ObjectIdentifier
			if _, err := asn1.Unmarshal(a.Values.Bytes, &of); err != nil || !of.Equal(oidTSTInfo) {
				return errors.New("the signature is of something else")
			}
			typed = true
		}
	}
	if !typed || !digested {
		return errors.New("the signature says not what it is of")
	}
	signed := append([]byte{}, i.Attrs.FullBytes...)
	signed[0] = 0x31 // signed as a SET, sent as [0]
	algorithm, err := i.algorithm(hash)
	if err != nil {
		return err
	}
	return cert.CheckSignature(algorithm, signed, i.Signature)
}

func hashOf(oid asn1.ObjectIdentifier) (crypto.Hash, bool) {
	switch {
	case oid.Equal(oidSHA256):
		return crypto.SHA256, true
	case oid.Equal(oidSHA384):
		return crypto.SHA384, true
	case oid.Equal(oidSHA512):
		return crypto.SHA512, true
	}
	return 0, false
}

// algorithm names the signature: RSA (PKCS #1) or ECDSA with the digest's hash.
func (i *signerInfo) algorithm(hash crypto.Hash) (x509.SignatureAlgorithm, error) {
	oid := i.Signing.Algorithm
	ec := len(oid) > 4 && oid[:4].Equal(oidANSIX962)
	rsa := len(oid) == 7 && oid[:6].Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1})
	switch {
	case !ec && !rsa || rsa && oid[6] == 10:
		return 0, fmt.Errorf("signature %v is not known: RSA (PKCS #1) and ECDSA are", oid)
	case hash == crypto.SHA256 && ec:
		return x509.ECDSAWithSHA256, nil
	case hash == crypto.SHA384 && ec:
		return x509.ECDSAWithSHA384, nil
	case hash == crypto.SHA512 && ec:
		return x509.ECDSAWithSHA512, nil
	case hash == crypto.SHA256:
		return x509.SHA256WithRSA, nil
	case hash == crypto.SHA384:
		return x509.SHA384WithRSA, nil
	}
	return x509.SHA512WithRSA, nil
}

// Trusted checks the authority's certificate against roots, at the time it stamped.
func (s *Stamp) Trusted(roots *x509.CertPool) error {
	_, err := s.Cert.Verify(x509.VerifyOptions{Roots: roots, Intermediates: s.pool, CurrentTime: s.At, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}})
	return err
}
