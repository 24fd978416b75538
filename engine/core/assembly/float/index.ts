// The floating-point unit: bit-exact IEEE 754 binary32 and binary64 with RISC-V's results and flags.
export { DZ, floatFlags, NV, NX, OF, RDN, RMM, RNE, RTZ, RUP, setFloatFlags, UF } from './common';
export {
  f32FromI32,
  f32FromI64,
  f32FromU32,
  f32FromU64,
  f32ToF64,
  f32ToI32,
  f32ToI64,
  f32ToU32,
  f32ToU64,
  f64FromI32,
  f64FromI64,
  f64FromU32,
  f64FromU64,
  f64ToF32,
  f64ToI32,
  f64ToI64,
  f64ToU32,
  f64ToU64,
} from './convert';
export {
  f32Add,
  f32Class,
  f32Div,
  f32Eq,
  f32Le,
  f32Lt,
  f32Max,
  f32Min,
  f32Mul,
  f32MulAdd,
  f32Sqrt,
  f32Sub,
} from './f32';
export { f64Add, f64Class, f64Div, f64Eq, f64Le, f64Lt, f64Max, f64Min, f64Mul, f64Sqrt, f64Sub } from './f64';
export { f64MulAdd } from './f64-fused';
