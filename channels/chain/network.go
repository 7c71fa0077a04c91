package chain

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"

	"github.com/millrace/millrace/channels"
)

// Network is one of the Bitcoin networks. ParseNetwork makes one.
type Network struct {
	name   string
	params *chaincfg.Params
}

// networks are those that lnd knows, by the names that it gives them.
var networks = []Network{
	{"mainnet", &chaincfg.MainNetParams},
	{"testnet", &chaincfg.TestNet3Params},
	{"testnet4", &chaincfg.TestNet4Params},
	{"signet", &chaincfg.SigNetParams},
	{"regtest", &chaincfg.RegressionNetParams},
	{"simnet", &chaincfg.SimNetParams},
}

// maxAddress is the longest address: of bech32, 90 characters (BIP-173).
const maxAddress = 90

// ParseNetwork finds a network by its name: mainnet, testnet (the third), testnet4, signet (the default one), regtest or simnet.
func ParseNetwork(name string) (Network, error) {
	for _, n := range networks {
		if n.name == name {
			return n, nil
		}
	}
	return Network{}, fmt.Errorf("no network is called %q: want mainnet, testnet, testnet4, signet, regtest or simnet", name)
}

func (n Network) String() string { return n.name }

// Genesis is the hash of the network's first block.
func (n Network) Genesis() channels.Hash { return channels.Hash(*n.params.GenesisHash) }

// Script is the public key script that an address stands for: P2PKH, P2SH, P2WPKH, P2WSH or P2TR. The error of an address of another
// network is channels.ErrNetwork; any other error means that it is no address. Some networks share their prefixes (all test networks
// those of base58 but simnet, and testnet and signet those of bech32): their addresses are each other's.
func (n Network) Script(address string) ([]byte, error) {
	if len(address) > maxAddress {
		return nil, fmt.Errorf("%d characters are no address: it has at most %d", len(address), maxAddress)
	}
	script, err := n.script(address)
	if err == nil {
		return script, nil
	}
	for _, other := range networks {
		if _, wrong := other.script(address); wrong == nil && other.name != n.name {
			return nil, fmt.Errorf("an address of %s, and this is %s: %w", other.name, n.name, channels.ErrNetwork)
		}
	}
	return nil, fmt.Errorf("no address: %w", err)
}

func (n Network) script(address string) ([]byte, error) {
	a, err := btcutil.DecodeAddress(address, n.params)
	if err != nil {
		return nil, err
	}
	// A public key in hex is taken for an address, too, which no wallet writes any more.
	if _, key := a.(*btcutil.AddressPubKey); key {
		return nil, errors.New("a public key")
	}
	if !a.IsForNet(n.params) {
		return nil, channels.ErrNetwork
	}
	return txscript.PayToAddrScript(a)
}

// Address is the text of the address that a public key script stands for: the inverse of Script. Not every script has one.
func (n Network) Address(script []byte) (string, error) {
	class, addresses, _, err := txscript.ExtractPkScriptAddrs(script, n.params)
	if err != nil {
		return "", fmt.Errorf("reading a public key script: %w", err)
	}
	one := []txscript.ScriptClass{txscript.PubKeyHashTy, txscript.ScriptHashTy, txscript.WitnessV0PubKeyHashTy,
		txscript.WitnessV0ScriptHashTy, txscript.WitnessV1TaprootTy}
	if !slices.Contains(one, class) || len(addresses) != 1 {
		return "", fmt.Errorf("a public key script of kind %s has no address", class)
	}
	return addresses[0].EncodeAddress(), nil
}

// prefix is what the network's segwit addresses begin with, before the 1: bc, tb, bcrt or sb.
func (n Network) prefix() string { return strings.ToLower(n.params.Bech32HRPSegwit) }
