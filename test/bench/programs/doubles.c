/* Double precision: an n-body integration and a Mandelbrot set, both ordinary fused-free arithmetic. */
static double root(double x)
{
  double y;
  __asm__("fsqrt.d %0, %1" : "=f"(y) : "f"(x));
  return y;
}

static double position[5][3] = {
  { 0, 0, 0 }, { 4.8, -1.2, -0.1 }, { 8.3, 4.1, -0.4 }, { 12.9, -15.1, -0.2 }, { 15.4, -25.9, 0.2 },
};
static double velocity[5][3] = {
  { 0, 0, 0 }, { 0.6, 2.8, -0.02 }, { -1.01, 1.8, 0.008 }, { 1.08, 0.87, -0.01 }, { 0.98, 0.59, -0.03 },
};
static const double mass[5] = { 39.5, 0.037, 0.011, 0.0017, 0.002 };

static void step(double dt)
{
  for (int i = 0; i < 5; i++)
    for (int j = i + 1; j < 5; j++) {
      double d[3], square = 0;
      for (int k = 0; k < 3; k++) { d[k] = position[i][k] - position[j][k]; square += d[k] * d[k]; }
      double scale = dt / (square * root(square));
      for (int k = 0; k < 3; k++) {
        velocity[i][k] -= d[k] * mass[j] * scale;
        velocity[j][k] += d[k] * mass[i] * scale;
      }
    }
  for (int i = 0; i < 5; i++)
    for (int k = 0; k < 3; k++) position[i][k] += dt * velocity[i][k];
}

static long mandelbrot(int size)
{
  long inside = 0;
  for (int py = 0; py < size; py++)
    for (int px = 0; px < size; px++) {
      double cx = 3.0 * px / size - 2, cy = 2.0 * py / size - 1, x = 0, y = 0;
      int n = 0;
      while (n < 100 && x * x + y * y < 4) {
        double t = x * x - y * y + cx;
        y = 2 * x * y + cy;
        x = t;
        n++;
      }
      if (n == 100) inside++;
    }
  return inside;
}

int main(void)
{
  for (int i = 0; i < 150000; i++) step(0.001);
  long inside = mandelbrot(240);
  return inside < 10000 || inside > 20000 || position[1][0] != position[1][0];
}
