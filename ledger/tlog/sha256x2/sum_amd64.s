//go:build !purego

#include "textflag.h"

// Two messages are hashed at a time, A and B, each with six registers:
//
//	ABEF, CDGH   the eight words of the state, in the order that the instructions ask for: the last named is the lowest
//	W0 to W3     16 words of the message schedule, four in each
//
// X0 is the operand that SHA256RNDS2 does not name: four words of the schedule with their constants added.

#define A_ABEF X2
#define A_CDGH X3
#define A_W0   X4
#define A_W1   X5
#define A_W2   X6
#define A_W3   X7

#define B_ABEF X8
#define B_CDGH X9
#define B_W0   X10
#define B_W1   X11
#define B_W2   X12
#define B_W3   X13

#define TEMP   X1
#define FLIP   X14 // turns four words around, between the bytes of a message and numbers

// What lies where in memory.
#define A_SUM     DI
#define A_MESSAGE SI
#define A_END     R8
#define B_SUM     R9
#define B_MESSAGE R10
#define COUNT     CX // messages not yet hashed
#define SIZE      DX // of each
#define K         BX

// LOAD takes four words of a message.
#define LOAD(at, message, w) \
	MOVOU  at(message), w \
	PSHUFB FLIP, w

// ROUNDS does four rounds. The first instruction makes a new ABEF in the place of CDGH, and the old ABEF is then CDGH; the second
// does the same with both exchanged, so that they are back in their places.
#define ROUNDS(k, w, abef, cdgh) \
	MOVOU       k(K), X0        \
	PADDD       w, X0           \
	SHA256RNDS2 X0, abef, cdgh  \
	PSHUFD      $0x0e, X0, X0   \
	SHA256RNDS2 X0, cdgh, abef

// SCHEDULE puts the words t to t+3 of the schedule in the place of t-16 to t-13:
// W[t] = s1(W[t-2]) + W[t-7] + s0(W[t-15]) + W[t-16].
#define SCHEDULE(w0, w1, w2, w3) \
	SHA256MSG1 w1, w0       \ // W[t-16] + s0(W[t-15])
	MOVO       w3, TEMP     \
	PALIGNR    $4, w2, TEMP \ // W[t-7]
	PADDD      TEMP, w0     \
	SHA256MSG2 w3, w0         // + s1(W[t-2])

// FIRST does four rounds of both messages and makes the words for the rounds 16 later. LAST does the rounds alone. They go
// through the messages in turns: what one waits for, the other fills.
#define FIRST(k, a0, a1, a2, a3, b0, b1, b2, b3) \
	ROUNDS(k, a0, A_ABEF, A_CDGH) \
	SCHEDULE(a0, a1, a2, a3)      \
	ROUNDS(k, b0, B_ABEF, B_CDGH) \
	SCHEDULE(b0, b1, b2, b3)

#define LAST(k, a, b) \
	ROUNDS(k, a, A_ABEF, A_CDGH) \
	ROUNDS(k, b, B_ABEF, B_CDGH)

// SIXTEEN is FIRST for as many rounds as there are words in the registers.
#define SIXTEEN(k) \
	FIRST(k+0,  A_W0, A_W1, A_W2, A_W3, B_W0, B_W1, B_W2, B_W3) \
	FIRST(k+16, A_W1, A_W2, A_W3, A_W0, B_W1, B_W2, B_W3, B_W0) \
	FIRST(k+32, A_W2, A_W3, A_W0, A_W1, B_W2, B_W3, B_W0, B_W1) \
	FIRST(k+48, A_W3, A_W0, A_W1, A_W2, B_W3, B_W0, B_W1, B_W2)

// ADD adds the state as it was before the block.
#define ADD(at, state) \
	MOVOU at(SP), TEMP \
	PADDD TEMP, state

// STORE writes a state as a hash: A to H, each with its highest byte first.
#define STORE(abef, cdgh, to) \
	PSHUFD  $0x1b, abef, abef \ // A B E F, the first now the lowest
	PSHUFD  $0xb1, cdgh, cdgh \ // G H C D
	MOVO    abef, TEMP        \
	PBLENDW $0xf0, cdgh, TEMP \ // A B C D
	PALIGNR $8, abef, cdgh    \ // E F G H
	PSHUFB  FLIP, TEMP        \
	PSHUFB  FLIP, cdgh        \
	MOVOU   TEMP, 0(to)       \
	MOVOU   cdgh, 16(to)

// func sum(sums, messages *byte, count, size int)
TEXT ·sum(SB), NOSPLIT, $64-32
	MOVQ  sums+0(FP), A_SUM
	MOVQ  messages+8(FP), A_MESSAGE
	MOVQ  count+16(FP), COUNT
	MOVQ  size+24(FP), SIZE
	LEAQ  constants<>(SB), K
	MOVOU flip<>(SB), FLIP

pair:
	// B is the message behind A. An odd last one is both: that costs nothing, as half of the unit would be idle.
	MOVQ A_MESSAGE, B_MESSAGE
	MOVQ A_SUM, B_SUM
	CMPQ COUNT, $1
	JEQ  start
	ADDQ SIZE, B_MESSAGE
	ADDQ $32, B_SUM

start:
	LEAQ  (A_MESSAGE)(SIZE*1), A_END
	MOVOU initial<>+0(SB), A_ABEF
	MOVOU initial<>+16(SB), A_CDGH
	MOVO  A_ABEF, B_ABEF
	MOVO  A_CDGH, B_CDGH

block:
	MOVOU A_ABEF, 0(SP)
	MOVOU A_CDGH, 16(SP)
	MOVOU B_ABEF, 32(SP)
	MOVOU B_CDGH, 48(SP)

	LOAD(0,  A_MESSAGE, A_W0)
	LOAD(0,  B_MESSAGE, B_W0)
	LOAD(16, A_MESSAGE, A_W1)
	LOAD(16, B_MESSAGE, B_W1)
	LOAD(32, A_MESSAGE, A_W2)
	LOAD(32, B_MESSAGE, B_W2)
	LOAD(48, A_MESSAGE, A_W3)
	LOAD(48, B_MESSAGE, B_W3)

	SIXTEEN(0)
	SIXTEEN(64)
	SIXTEEN(128)
	LAST(192, A_W0, B_W0)
	LAST(208, A_W1, B_W1)
	LAST(224, A_W2, B_W2)
	LAST(240, A_W3, B_W3)

	ADD(0,  A_ABEF)
	ADD(16, A_CDGH)
	ADD(32, B_ABEF)
	ADD(48, B_CDGH)

	ADDQ $64, A_MESSAGE
	ADDQ $64, B_MESSAGE
	CMPQ A_MESSAGE, A_END
	JNE  block

	STORE(A_ABEF, A_CDGH, A_SUM)
	STORE(B_ABEF, B_CDGH, B_SUM)

	MOVQ B_MESSAGE, A_MESSAGE
	LEAQ 32(B_SUM), A_SUM
	SUBQ $2, COUNT
	JGT  pair
	RET

// func cpuid(page uint32) (eax, ebx, ecx, edx uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-24
	MOVL  page+0(FP), AX
	XORL  CX, CX
	CPUID
	MOVL  AX, eax+8(FP)
	MOVL  BX, ebx+12(FP)
	MOVL  CX, ecx+16(FP)
	MOVL  DX, edx+20(FP)
	RET

DATA flip<>+0(SB)/8, $0x0405060700010203
DATA flip<>+8(SB)/8, $0x0c0d0e0f08090a0b
GLOBL flip<>(SB), RODATA|NOPTR, $16

// The first state (FIPS 180-4, section 5.3.3): F, E, B, A and H, G, D, C.
DATA initial<>+0(SB)/4, $0x9b05688c
DATA initial<>+4(SB)/4, $0x510e527f
DATA initial<>+8(SB)/4, $0xbb67ae85
DATA initial<>+12(SB)/4, $0x6a09e667
DATA initial<>+16(SB)/4, $0x5be0cd19
DATA initial<>+20(SB)/4, $0x1f83d9ab
DATA initial<>+24(SB)/4, $0xa54ff53a
DATA initial<>+28(SB)/4, $0x3c6ef372
GLOBL initial<>(SB), RODATA|NOPTR, $32

// The constants of the rounds (FIPS 180-4, section 4.2.2), two in each line, the first the lower half.
DATA constants<>+0(SB)/8, $0x71374491428a2f98
DATA constants<>+8(SB)/8, $0xe9b5dba5b5c0fbcf
DATA constants<>+16(SB)/8, $0x59f111f13956c25b
DATA constants<>+24(SB)/8, $0xab1c5ed5923f82a4
DATA constants<>+32(SB)/8, $0x12835b01d807aa98
DATA constants<>+40(SB)/8, $0x550c7dc3243185be
DATA constants<>+48(SB)/8, $0x80deb1fe72be5d74
DATA constants<>+56(SB)/8, $0xc19bf1749bdc06a7
DATA constants<>+64(SB)/8, $0xefbe4786e49b69c1
DATA constants<>+72(SB)/8, $0x240ca1cc0fc19dc6
DATA constants<>+80(SB)/8, $0x4a7484aa2de92c6f
DATA constants<>+88(SB)/8, $0x76f988da5cb0a9dc
DATA constants<>+96(SB)/8, $0xa831c66d983e5152
DATA constants<>+104(SB)/8, $0xbf597fc7b00327c8
DATA constants<>+112(SB)/8, $0xd5a79147c6e00bf3
DATA constants<>+120(SB)/8, $0x1429296706ca6351
DATA constants<>+128(SB)/8, $0x2e1b213827b70a85
DATA constants<>+136(SB)/8, $0x53380d134d2c6dfc
DATA constants<>+144(SB)/8, $0x766a0abb650a7354
DATA constants<>+152(SB)/8, $0x92722c8581c2c92e
DATA constants<>+160(SB)/8, $0xa81a664ba2bfe8a1
DATA constants<>+168(SB)/8, $0xc76c51a3c24b8b70
DATA constants<>+176(SB)/8, $0xd6990624d192e819
DATA constants<>+184(SB)/8, $0x106aa070f40e3585
DATA constants<>+192(SB)/8, $0x1e376c0819a4c116
DATA constants<>+200(SB)/8, $0x34b0bcb52748774c
DATA constants<>+208(SB)/8, $0x4ed8aa4a391c0cb3
DATA constants<>+216(SB)/8, $0x682e6ff35b9cca4f
DATA constants<>+224(SB)/8, $0x78a5636f748f82ee
DATA constants<>+232(SB)/8, $0x8cc7020884c87814
DATA constants<>+240(SB)/8, $0xa4506ceb90befffa
DATA constants<>+248(SB)/8, $0xc67178f2bef9a3f7
GLOBL constants<>(SB), RODATA|NOPTR, $256
