/* Calls and returns: recursive Fibonacci, Ackermann and calls through pointers. */
typedef unsigned long word;

__attribute__((noinline)) static word fibonacci(word n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

__attribute__((noinline)) static word ackermann(word m, word n)
{
  if (m == 0) return n + 1;
  if (n == 0) return ackermann(m - 1, 1);
  return ackermann(m - 1, ackermann(m, n - 1));
}

__attribute__((noinline)) static word add(word a, word b) { return a + b; }
__attribute__((noinline)) static word mix(word a, word b) { return (a ^ b) * 31; }
__attribute__((noinline)) static word shift(word a, word b) { return (a << 1) ^ (b >> 3); }

int main(void)
{
  word (*volatile operations[])(word, word) = { add, mix, shift };
  word sum = 1;
  if (fibonacci(32) != 2178309) return 1;
  if (ackermann(2, 400) != 803) return 2;
  for (word i = 0; i < 10000000; i++) sum = operations[i % 3](sum, i);
  return sum == 0;
}
