package chain_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/psbt"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/chain"
)

// wallet has one key, and makes and signs transactions with it, of every kind of coin.
type wallet struct {
	t       testing.TB
	key     *btcec.PrivateKey
	scripts map[chain.Spend][]byte // by kind, as they are asked for
}

func newWallet(t testing.TB, seed string) *wallet {
	s := sha256.Sum256([]byte(seed))
	key, _ := btcec.PrivKeyFromBytes(s[:])
	return &wallet{t: t, key: key, scripts: map[chain.Spend][]byte{}}
}

func (w *wallet) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// address of the key, on simnet.
func (w *wallet) address(kind chain.Spend) string {
	w.t.Helper()
	net, pub := &chaincfg.SimNetParams, w.key.PubKey()
	hash := btcutil.Hash160(pub.SerializeCompressed())
	var a btcutil.Address
	var err error
	switch kind {
	case chain.P2WPKH:
		a, err = btcutil.NewAddressWitnessPubKeyHash(hash, net)
	case chain.P2TR:
		a, err = btcutil.NewAddressTaproot(txscript.ComputeTaprootKeyNoScript(pub).SerializeCompressed()[1:], net)
	case chain.Nested:
		a, err = btcutil.NewAddressScriptHash(w.script(chain.P2WPKH), net)
	case chain.P2PKH:
		a, err = btcutil.NewAddressPubKeyHash(hash, net)
	}
	w.must(err)
	return a.EncodeAddress()
}

func (w *wallet) script(kind chain.Spend) []byte {
	w.t.Helper()
	if w.scripts[kind] == nil {
		script, err := simnet(w.t).Script(w.address(kind))
		w.must(err)
		w.scripts[kind] = script
	}
	return w.scripts[kind]
}

// coin is what the wallet spends.
type coin struct {
	kind  chain.Spend
	point wire.OutPoint
	value int64
}

// pay makes a transaction that may be replaced, and signs it. The output at index change is the wallet's; -1: none is.
func (w *wallet) pay(coins []coin, outs []*wire.TxOut, change int) channels.Signed {
	w.t.Helper()
	tx := wire.NewMsgTx(2)
	in := int64(0)
	for _, c := range coins {
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: c.point, Sequence: wire.MaxTxInSequenceNum - 2})
		in += c.value
	}
	for _, o := range outs {
		tx.AddTxOut(o)
		in -= o.Value
	}
	p, err := psbt.NewFromUnsignedTx(tx)
	w.must(err)
	for i, c := range coins {
		p.Inputs[i].WitnessUtxo = wire.NewTxOut(c.value, w.script(c.kind))
	}
	var b bytes.Buffer
	w.must(p.Serialize(&b))
	return w.sign(b.Bytes(), change)
}

// sign signs a PSBT, as lnd's wallet does.
func (w *wallet) sign(raw []byte, change int) channels.Signed {
	w.t.Helper()
	p, err := psbt.NewFromRawBytes(bytes.NewReader(raw), false)
	w.must(err)
	s := channels.Signed{PSBT: raw, Change: change}
	tx := p.UnsignedTx.Copy()
	coins := txscript.NewMultiPrevOutFetcher(nil)
	for i, in := range tx.TxIn {
		coins.AddPrevOut(in.PreviousOutPoint, p.Inputs[i].WitnessUtxo)
		s.Inputs = append(s.Inputs, channels.Outpoint{Tx: channels.Hash(in.PreviousOutPoint.Hash), Index: in.PreviousOutPoint.Index})
		s.Fee += channels.Sat(p.Inputs[i].WitnessUtxo.Value)
	}
	for _, out := range tx.TxOut {
		s.Fee -= channels.Sat(out.Value)
	}
	hashes := txscript.NewTxSigHashes(tx, coins)
	for i, in := range tx.TxIn {
		c := p.Inputs[i].WitnessUtxo
		kind, err := chain.SpendOf(c.PkScript)
		w.must(err)
		switch kind {
		case chain.P2TR:
			in.Witness, err = txscript.TaprootWitnessSignature(tx, hashes, i, c.Value, c.PkScript, txscript.SigHashDefault, w.key)
		case chain.P2WPKH:
			in.Witness, err = txscript.WitnessSignature(tx, hashes, i, c.Value, c.PkScript, txscript.SigHashAll, w.key, true)
		case chain.Nested:
			inner := w.script(chain.P2WPKH)
			in.SignatureScript, err = txscript.NewScriptBuilder().AddData(inner).Script()
			w.must(err)
			in.Witness, err = txscript.WitnessSignature(tx, hashes, i, c.Value, inner, txscript.SigHashAll, w.key, true)
		case chain.P2PKH:
			in.SignatureScript, err = txscript.SignatureScript(tx, i, c.PkScript, txscript.SigHashAll, w.key, true)
		}
		w.must(err)
	}
	for i, in := range tx.TxIn { // as a node would
		c := coins.FetchPrevOutput(in.PreviousOutPoint)
		vm, err := txscript.NewEngine(c.PkScript, tx, i, txscript.StandardVerifyFlags, nil, hashes, c.Value, coins)
		w.must(err)
		w.must(vm.Execute())
	}
	var b bytes.Buffer
	w.must(tx.Serialize(&b))
	parsed, err := chain.ParseTransaction(b.Bytes())
	w.must(err)
	s.ID, s.Raw, s.VSize = parsed.ID, b.Bytes(), parsed.VSize()
	return s
}

func simnet(t testing.TB) chain.Network { return named(t, "simnet") }

func named(t testing.TB, name string) chain.Network {
	t.Helper()
	n, err := chain.ParseNetwork(name)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
