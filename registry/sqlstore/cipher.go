package sqlstore

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"glimpse/registry"
	"glimpse/registry/image"
)

// maxURL is what a column for a URL holds, in bytes.
const maxURL = 65535

// urls writes and reads the URLs of locations as Glance does with its option
// metadata_encryption_key: AES in CBC mode under a random vector, in the alphabet
// of URLs. The zero value writes them as they are.
type urls struct{ block cipher.Block }

func newURLs(key string) (urls, error) {
	if key == "" {
		return urls{}, nil
	}
	b, err := aes.NewCipher([]byte(key))
	if err != nil {
		return urls{}, fmt.Errorf("sqlstore: the metadata encryption key has %d bytes, it must have 16, 24 or 32", len(key))
	}
	return urls{b}, nil
}

// seal returns the text that is stored. "" stays: it is no URL.
func (u urls) seal(url image.Secret) (string, error) {
	if u.block == nil || url == "" {
		return url.Reveal(), nil
	}
	b := make([]byte, aes.BlockSize, sealedSize(len(url)))
	if _, err := rand.Read(b); err != nil {
		return "", err
	}
	b = append(append(b, url.Reveal()...), 0)
	pad := make([]byte, cap(b)-len(b))
	if err := fillNonZero(pad); err != nil {
		return "", err
	}
	b = append(b, pad...)
	cipher.NewCBCEncrypter(u.block, b[:aes.BlockSize]).CryptBlocks(b[aes.BlockSize:], b[aes.BlockSize:])
	text := base64.URLEncoding.EncodeToString(b)
	if err := registry.Text("Location", text, maxURL); err != nil {
		return "", err
	}
	return text, nil
}

// sealedSize is the vector, the URL, a zero, and what fills the last block.
func sealedSize(n int) int { return aes.BlockSize + (n/aes.BlockSize+1)*aes.BlockSize }

// fillNonZero fills b with random bytes that are not the zero which ends a URL.
func fillNonZero(b []byte) error {
	if _, err := rand.Read(b); err != nil {
		return err
	}
	for i := range b {
		b[i] |= 1 // never 0; the padding's only purpose is to be no delimiter
	}
	return nil
}

// open reads a stored text. Rows that were written before there was a key are
// plain URLs; these have characters that the alphabet lacks. What can't be read
// with this key is returned as it is: no store takes it for a place, nothing
// finds its bytes, and a write of the record leaves it alone.
func (u urls) open(text string) image.Secret {
	if u.block == nil || strings.Contains(text, "://") {
		return image.Secret(text)
	}
	b, err := base64.URLEncoding.DecodeString(text)
	if err != nil || len(b) < 2*aes.BlockSize || len(b)%aes.BlockSize != 0 {
		return image.Secret(text)
	}
	cipher.NewCBCDecrypter(u.block, b[:aes.BlockSize]).CryptBlocks(b[aes.BlockSize:], b[aes.BlockSize:])
	b = b[aes.BlockSize:]
	end := bytes.LastIndexByte(b, 0)
	if end < 0 || !utf8.Valid(b[:end]) || !bytes.Contains(b[:end], []byte("://")) {
		return image.Secret(text) // another key
	}
	return image.Secret(b[:end])
}

// named is the condition under which a stored text may be the URL: where URLs
// are encrypted, texts of the length that it would have besides the URL itself.
// Which they are, open tells.
func (u urls) named(column string, url image.Secret) clause {
	if u.block == nil {
		return clause{column + " = ?", []any{url.Reveal()}}
	}
	length := base64.URLEncoding.EncodedLen(sealedSize(len(url)))
	return clause{"(" + column + " = ? OR LENGTH(" + column + ") = ?)", []any{url.Reveal(), length}}
}
