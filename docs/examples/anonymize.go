// A service in Go asks Aegis to erase a person. Go's own library is enough (1.19 or newer).
//
//	AEGIS_BROKER_URL=rediss://producer-shop:PASSWORD@redis:6379/0 AEGIS_BROKER_CA=ca.crt \
//	  go run anonymize.go shop /etc/shop/aegis.key 4711 ticket-814
//
// Without a key file (-) the message is not signed, which workers take while no producer is configured.
package main

import (
	"bufio"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	task   = "aegis.users.anonymize"
	queue  = "erasure"
	resend = 30 * time.Second
)

// Redis's protocol, one command at a time.
type broker struct {
	net.Conn
	answers *bufio.Reader
}

func open(address string) (*broker, error) {
	where, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	host := where.Host
	if where.Port() == "" {
		host = net.JoinHostPort(where.Hostname(), "6379")
	}
	connection, err := dial(where.Scheme, host)
	if err != nil {
		return nil, err
	}
	made := &broker{connection, bufio.NewReader(connection)}
	if password, given := where.User.Password(); given {
		words := []string{"AUTH", where.User.Username(), password}
		if words[1] == "" {
			words = []string{"AUTH", password}
		}
		if _, _, err := made.command(words...); err != nil {
			return nil, err
		}
	}
	return made, nil
}

func dial(scheme, host string) (net.Conn, error) {
	if scheme != "rediss" {
		return net.Dial("tcp", host)
	}
	trusted := &tls.Config{MinVersion: tls.VersionTLS12}
	if file := os.Getenv("AEGIS_BROKER_CA"); file != "" {
		authority, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		trusted.RootCAs = x509.NewCertPool()
		trusted.RootCAs.AppendCertsFromPEM(authority)
	}
	if file := os.Getenv("AEGIS_BROKER_CERT"); file != "" {
		own, err := tls.LoadX509KeyPair(file, os.Getenv("AEGIS_BROKER_KEY"))
		if err != nil {
			return nil, err
		}
		trusted.Certificates = []tls.Certificate{own}
	}
	return tls.Dial("tcp", host, trusted)
}

// command returns the answer, and whether there is one.
func (b *broker) command(words ...string) (string, bool, error) {
	sent := fmt.Sprintf("*%d\r\n", len(words))
	for _, word := range words {
		sent += fmt.Sprintf("$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(b, sent); err != nil {
		return "", false, err
	}
	line, err := b.answers.ReadString('\n')
	if err != nil {
		return "", false, err
	}
	kind, text := line[0], strings.TrimSpace(line[1:])
	switch kind {
	case '-':
		return "", false, errors.New(text)
	case '$':
		length, err := strconv.Atoi(text)
		if err != nil || length < 0 {
			return "", false, err
		}
		answer := make([]byte, length+2)
		_, err = io.ReadFull(b.answers, answer)
		return string(answer[:length]), true, err
	}
	return text, true, nil
}

// signed returns the header that says, with a signature, whose message it is.
func signed(keyFile, producer, id string, body []byte) (map[string]any, error) {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	role, encoded, _ := strings.Cut(strings.TrimSpace(string(text)), ":")
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || role != "aegis-client-key-1" {
		return nil, fmt.Errorf("%s is no key of aegis client-key", keyFile)
	}
	// HKDF-SHA256 (RFC 5869) without a salt, one block.
	seed := mac(mac(make([]byte, sha256.Size), secret), []byte("aegis/v1/message\x01"))
	now := time.Now().Unix()
	head := fmt.Sprintf("aegis/v1/message\n%s\n%s\n%s\n%d\n", task, id, producer, now)
	signature := ed25519.Sign(ed25519.NewKeyFromSeed(seed), append([]byte(head), body...))
	return map[string]any{
		"producer": producer, "time": now, "signature": base64.StdEncoding.EncodeToString(signature),
	}, nil
}

func mac(key, text []byte) []byte {
	sum := hmac.New(sha256.New, key)
	sum.Write(text)
	return sum.Sum(nil)
}

// message returns Celery's message, protocol 2, as it lies in a Redis list.
func message(producer, keyFile, userID, requestID string) (string, error) {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	id := hex.EncodeToString(random)
	kwargs := map[string]string{"user_id": userID, "request_id": requestID, "actor": producer}
	body, err := json.Marshal([]any{[]any{}, kwargs, map[string]any{}})
	if err != nil {
		return "", err
	}
	headers := map[string]any{"task": task, "id": id}
	if keyFile != "-" {
		if headers["aegis"], err = signed(keyFile, producer, id, body); err != nil {
			return "", err
		}
	}
	made, err := json.Marshal(map[string]any{
		"body":             base64.StdEncoding.EncodeToString(body),
		"content-encoding": "utf-8",
		"content-type":     "application/json",
		"headers":          headers,
		"properties": map[string]any{
			"body_encoding": "base64",
			"delivery_info": map[string]string{"exchange": "", "routing_key": queue},
			"delivery_tag":  id,
		},
	})
	return string(made), err
}

// ask sends a request until a worker has accepted it: before that it can be lost.
func ask(redis *broker, producer, keyFile, userID, requestID string) (string, error) {
	for {
		made, err := message(producer, keyFile, userID, requestID)
		if err != nil {
			return "", err
		}
		if _, _, err := redis.command("LPUSH", queue, made); err != nil {
			return "", err
		}
		for end := time.Now().Add(resend); time.Now().Before(end); {
			time.Sleep(200 * time.Millisecond)
			status, found, err := redis.command("GET", "aegis:status:"+requestID)
			if err != nil || found {
				return status, err
			}
		}
	}
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 5 {
		log.Fatal("usage: anonymize PRODUCER KEY_FILE USER_ID REQUEST_ID")
	}
	redis, err := open(os.Getenv("AEGIS_BROKER_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer redis.Close()
	text, err := ask(redis, os.Args[1], os.Args[2], os.Args[3], os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	var status struct{ State, Reason string }
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		log.Fatal(err)
	}
	fmt.Println(status.State, status.Reason)
	if status.State == "failed" {
		os.Exit(1)
	}
}
