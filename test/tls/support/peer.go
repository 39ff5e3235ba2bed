// A TLS peer for the interop tests: connects or accepts once, moves bytes both ways, and says in JSON what it saw.
// peer ROLE ADDRESS CERTIFICATE KEY VERSION BYTES: as a client it sends, ends its side and reads to the end; as a server
// it reads to the end first. CERTIFICATE is the authority's for a client.
package main

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
)

type report struct {
	Sha256   string `json:"sha256"`
	Bytes    int64  `json:"bytes"`
	Version  string `json:"version"`
	Suite    string `json:"suite"`
	Protocol string `json:"protocol"`
	Name     string `json:"name"`
	Resumed  bool   `json:"resumed"`
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func send(connection *tls.Conn, seed int, length int) {
	writer := bufio.NewWriterSize(connection, 50_000)
	for at := 0; at < length; at++ {
		check(writer.WriteByte(byte(at*31 + at/251 + seed)))
	}
	check(writer.Flush())
}

func receive(connection *tls.Conn) (string, int64) {
	hash := sha256.New()
	bytes, err := io.Copy(hash, connection)
	check(err)
	return hex.EncodeToString(hash.Sum(nil)), bytes
}

func main() {
	role, address, certificate, key := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	version := uint16(tls.VersionTLS13)
	if os.Args[5] == "TLSv1.2" {
		version = tls.VersionTLS12
	}
	length, err := strconv.Atoi(os.Args[6])
	check(err)
	config := &tls.Config{MinVersion: version, MaxVersion: version, NextProtos: []string{"interop"}}
	var connection *tls.Conn
	var seen report
	times := 1
	if role == "client" {
		pem, err := os.ReadFile(certificate)
		check(err)
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(pem)
		config.ServerName = "localhost"
		config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
		times = 2
	}
	for ; times > 0; times-- {
		if role == "client" {
			connection, err = tls.Dial("tcp", address, config)
			check(err)
			send(connection, 1, length)
			check(connection.CloseWrite())
			seen.Sha256, seen.Bytes = receive(connection)
		} else {
			pair, err := tls.LoadX509KeyPair(certificate, key)
			check(err)
			config.Certificates = []tls.Certificate{pair}
			listener, err := tls.Listen("tcp", address, config)
			check(err)
			fmt.Println(listener.Addr())
			accepted, err := listener.Accept()
			check(err)
			connection = accepted.(*tls.Conn)
			seen.Sha256, seen.Bytes = receive(connection)
			send(connection, 2, length)
		}
		state := connection.ConnectionState()
		seen.Version, seen.Suite = tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)
		seen.Protocol, seen.Name, seen.Resumed = state.NegotiatedProtocol, state.ServerName, state.DidResume
		check(connection.Close())
	}
	check(json.NewEncoder(os.Stdout).Encode(seen))
}
