// Verify lets Go's crypto/x509 judge chains: one JSON object a line comes in, one verdict a line goes out.
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
)

// A chain to judge. Certificates are DER in base64.
type chain struct {
	Root         []byte   `json:"root"`
	Intermediate [][]byte `json:"intermediates"`
	Leaf         []byte   `json:"leaf"`
	// "server", "client" or "any".
	Purpose string `json:"purpose"`
	// The DNS name to ask for, if any.
	Name string `json:"name"`
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<20)
	for input.Scan() {
		var asked chain
		err := json.Unmarshal(input.Bytes(), &asked)
		if err == nil {
			err = asked.verify()
		}
		if err != nil {
			fmt.Println(err)
		} else {
			fmt.Println("ok")
		}
	}
	if input.Err() != nil {
		fmt.Fprintln(os.Stderr, input.Err())
		os.Exit(1)
	}
}

func (asked chain) verify() error {
	options := x509.VerifyOptions{
		Roots:         x509.NewCertPool(),
		Intermediates: x509.NewCertPool(),
		DNSName:       asked.Name,
	}
	root, err := x509.ParseCertificate(asked.Root)
	if err != nil {
		return fmt.Errorf("root: %w", err)
	}
	options.Roots.AddCert(root)
	for _, der := range asked.Intermediate {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("intermediate: %w", err)
		}
		options.Intermediates.AddCert(certificate)
	}
	leaf, err := x509.ParseCertificate(asked.Leaf)
	if err != nil {
		return fmt.Errorf("leaf: %w", err)
	}
	switch asked.Purpose {
	case "server":
		options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	case "client":
		options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	default:
		options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	}
	_, err = leaf.Verify(options)
	return err
}
