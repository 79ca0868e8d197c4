package e2e

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Message numbers of RFC 4250 §4.1.2 that rawSSH and the mutations name.
const (
	msgIgnore          = 2
	msgServiceRequest  = 5
	msgKexInit         = 20
	msgNewKeys         = 21
	msgKexECDHInit     = 30
	msgKexECDHReply    = 31
	msgUserauthRequest = 50
	msgUserauthSuccess = 52
	msgInfoResponse    = 61
	msgGlobalRequest   = 80
	msgRequestFailure  = 82
	msgChannelOpen     = 90
	msgChannelOpened   = 91
	msgOpenFailure     = 92
	msgWindowAdjust    = 93
	msgChannelData     = 94
	msgChannelEOF      = 96
	msgChannelClose    = 97
	msgChannelRequest  = 98
	msgChannelFailure  = 100
)

// rawSSH is a client that sends any packet it likes, encrypted as it should be:
// no library's client sends a wrong one. It speaks one algorithm of each kind
// (curve25519, aes128-gcm) and believes any host key.
type rawSSH struct {
	t       testing.TB
	conn    net.Conn
	in      *bufio.Reader
	out     sealer
	opened  sealer
	session []byte // the session identifier
	theirs  string // the server's version

	// edit, if there is one, replaces each payload by what is sent in its place:
	// none, one or several.
	edit func(payload []byte) [][]byte
}

// sealer is one direction's aes128-gcm@openssh.com (RFC 5647, and PROTOCOL §1.6
// of OpenSSH); nothing is encrypted before it has a key.
type sealer struct {
	aead  cipher.AEAD
	nonce []byte
}

func (s *sealer) next() []byte {
	n := bytes.Clone(s.nonce)
	binary.BigEndian.PutUint64(s.nonce[4:], binary.BigEndian.Uint64(s.nonce[4:])+1)
	return n
}

func str(s string) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...) }

// send sends a payload, or what edit makes of it.
func (c *rawSSH) send(payload []byte) error {
	all := [][]byte{payload}
	if c.edit != nil {
		all = c.edit(payload)
	}
	for _, p := range all {
		if err := c.packet(p); err != nil {
			return err
		}
	}
	return nil
}

// packet sends one packet (RFC 4253 §6).
func (c *rawSSH) packet(payload []byte) error {
	head, block := 5, 8
	if c.out.aead != nil {
		head, block = 1, 16 // the length isn't encrypted, so it isn't padded
	}
	pad := block - (head+len(payload))%block
	if pad < 4 {
		pad += block
	}
	p := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+pad))
	p = append(append(append(p, byte(pad)), payload...), make([]byte, pad)...)
	if c.out.aead != nil {
		p = append(p[:4:4], c.out.aead.Seal(nil, c.out.next(), p[4:], p[:4])...)
	}
	_, err := c.conn.Write(p)
	return err
}

// receive gives the next payload.
func (c *rawSSH) receive() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(head[:]))
	if n < 2 || n > 1<<18 {
		return nil, fmt.Errorf("a packet of %d bytes", n)
	}
	if c.opened.aead != nil {
		n += c.opened.aead.Overhead()
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(c.in, body); err != nil {
		return nil, err
	}
	if c.opened.aead != nil {
		var err error
		if body, err = c.opened.aead.Open(nil, c.opened.next(), body, head[:]); err != nil {
			return nil, err
		}
	}
	if int(body[0]) > len(body)-2 {
		return nil, errors.New("more padding than packet")
	}
	return body[1 : len(body)-int(body[0])], nil
}

// await reads until a message of that number comes.
func (c *rawSSH) await(number byte) ([]byte, error) {
	for {
		p, err := c.receive()
		if err != nil {
			return nil, fmt.Errorf("waiting for message %d: %w", number, err)
		}
		if p[0] == number {
			return p, nil
		}
	}
}

// handshake exchanges versions and keys (RFC 4253 §7, RFC 8731).
func (c *rawSSH) handshake() error {
	if _, err := io.WriteString(c.conn, rawVersion+"\r\n"); err != nil {
		return err
	}
	theirs, err := c.in.ReadString('\n')
	if err != nil {
		return err
	}
	c.theirs = strings.TrimRight(theirs, "\r\n")
	return c.exchange()
}

const rawVersion = "SSH-2.0-OpenSSH_9.2 raw"

// exchange exchanges keys, for the first time or anew.
func (c *rawSSH) exchange() error {
	init := append([]byte{msgKexInit}, make([]byte, 16)...)
	for _, list := range []string{
		"curve25519-sha256", ssh.KeyAlgoED25519, ssh.CipherAES128GCM, ssh.CipherAES128GCM,
		ssh.HMACSHA256ETM, ssh.HMACSHA256ETM, "none", "none", "", "",
	} {
		init = append(init, str(list)...)
	}
	init = append(init, 0, 0, 0, 0, 0)
	if err := c.send(init); err != nil {
		return err
	}
	serverInit, err := c.await(msgKexInit)
	if err != nil {
		return err
	}
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	public := string(key.PublicKey().Bytes())
	if err := c.send(append([]byte{msgKexECDHInit}, str(public)...)); err != nil {
		return err
	}
	p, err := c.await(msgKexECDHReply)
	if err != nil {
		return err
	}
	var reply struct{ HostKey, Public, Signature []byte }
	if err := ssh.Unmarshal(p[1:], &reply); err != nil {
		return err
	}
	peer, err := ecdh.X25519().NewPublicKey(reply.Public)
	if err != nil {
		return err
	}
	secret, err := key.ECDH(peer)
	if err != nil {
		return err
	}
	// As RFC 4251's mpint.
	shared := ssh.Marshal(struct{ K *big.Int }{new(big.Int).SetBytes(secret)})
	hash := sha256.Sum256(slices.Concat(str(rawVersion), str(c.theirs), str(string(init)), str(string(serverInit)),
		str(string(reply.HostKey)), str(public), str(string(reply.Public)), shared))
	if c.session == nil {
		c.session = hash[:]
	}
	if err := c.send([]byte{msgNewKeys}); err != nil {
		return err
	}
	if _, err := c.await(msgNewKeys); err != nil {
		return err
	}
	derive := func(letter byte, n int) []byte {
		h := sha256.Sum256(slices.Concat(shared, hash[:], []byte{letter}, c.session))
		return h[:n]
	}
	for _, d := range []struct {
		to      *sealer
		iv, key byte
	}{{&c.out, 'A', 'C'}, {&c.opened, 'B', 'D'}} {
		block, err := aes.NewCipher(derive(d.key, 16))
		if err != nil {
			return err
		}
		if d.to.aead, err = cipher.NewGCM(block); err != nil {
			return err
		}
		d.to.nonce = derive(d.iv, 12)
	}
	return nil
}

// request is a USERAUTH_REQUEST (RFC 4252 §5) up to what a method adds.
func request(user, method string) []byte {
	return slices.Concat([]byte{msgUserauthRequest}, str(user), str("ssh-connection"), str(method))
}

// publicKey is a request with a proven key (RFC 4252 §7).
func (c *rawSSH) publicKey(user string, key ssh.Signer) ([]byte, error) {
	p := slices.Concat(request(user, "publickey"), []byte{1}, str(key.PublicKey().Type()), str(string(key.PublicKey().Marshal())))
	sig, err := key.Sign(rand.Reader, slices.Concat(str(string(c.session)), p))
	if err != nil {
		return nil, err
	}
	return append(p, str(string(ssh.Marshal(sig)))...), nil
}

// login asks for the authentication service and proves key.
func (c *rawSSH) login(user string, key ssh.Signer) error {
	if err := c.send(append([]byte{msgServiceRequest}, str("ssh-userauth")...)); err != nil {
		return err
	}
	p, err := c.publicKey(user, key)
	if err != nil {
		return err
	}
	if err := c.send(p); err != nil {
		return err
	}
	_, err = c.await(msgUserauthSuccess)
	return err
}
