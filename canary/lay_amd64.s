#include "textflag.h"

// func fetchFlips(flips []flip, chosen []uint32)
TEXT ·fetchFlips(SB), NOSPLIT, $0-48
	MOVQ flips_base+0(FP), DI
	MOVQ chosen_base+24(FP), SI
	MOVQ chosen_len+32(FP), CX
	LEAQ (SI)(CX*4), CX

next:
	CMPQ SI, CX
	JAE  done
	MOVL (SI), AX
	SHLQ $6, AX
	PREFETCHT0 (DI)(AX*1)
	ADDQ $4, SI
	JMP  next

done:
	RET

// The first part of a flip holds where it goes, and 12 bytes of data.
DATA  data<>+0(SB)/8, $0xffffffff00000000
DATA  data<>+8(SB)/8, $0xffffffffffffffff
GLOBL data<>(SB), RODATA|NOPTR, $16

// func lay(out []byte, flips []flip, chosen []uint32)
TEXT ·lay(SB), NOSPLIT, $0-72
	MOVQ  out_base+0(FP), DX
	MOVQ  flips_base+24(FP), DI
	MOVQ  chosen_base+48(FP), SI
	MOVQ  chosen_len+56(FP), CX
	LEAQ  (SI)(CX*4), CX
	MOVOU data<>(SB), X8

next:
	CMPQ  SI, CX
	JAE   done
	MOVL  (SI), AX
	SHLQ  $6, AX
	ADDQ  DI, AX
	MOVL  (AX), BX
	LEAQ  -4(DX)(BX*1), BX
	MOVOU (AX), X0
	MOVOU 16(AX), X1
	MOVOU 32(AX), X2
	MOVOU 48(AX), X3
	PAND  X8, X0
	MOVOU (BX), X4
	MOVOU 16(BX), X5
	MOVOU 32(BX), X6
	MOVOU 48(BX), X7
	PXOR  X4, X0
	PXOR  X5, X1
	PXOR  X6, X2
	PXOR  X7, X3
	MOVOU X0, (BX)
	MOVOU X1, 16(BX)
	MOVOU X2, 32(BX)
	MOVOU X3, 48(BX)
	ADDQ  $4, SI
	JMP   next

done:
	RET
