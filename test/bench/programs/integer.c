/* Integer work without calls: a CRC, a linked list, a matrix product and a state machine. Exits 0 when the sum is right. */
typedef unsigned long word;

static unsigned table[256];
static unsigned char text[4096];
static struct node { struct node *next; word value; } nodes[1024];
static int left[24][24], right[24][24], product[24][24];

static word crc(void)
{
  unsigned sum = ~0u;
  for (word i = 0; i < sizeof text; i++) sum = (sum >> 8) ^ table[(sum ^ text[i]) & 255];
  return sum;
}

static word list(void)
{
  word sum = 0;
  for (struct node *n = nodes; n; n = n->next) sum += n->value;
  return sum;
}

static word matrix(void)
{
  word trace = 0;
  for (int i = 0; i < 24; i++)
    for (int j = 0; j < 24; j++) {
      int sum = 0;
      for (int k = 0; k < 24; k++) sum += left[i][k] * right[k][j];
      product[i][j] = sum;
    }
  for (int i = 0; i < 24; i++) trace += product[i][i];
  return trace;
}

static word machine(void)
{
  word state = 0, words = 0;
  for (word i = 0; i < sizeof text; i++) {
    unsigned char c = text[i];
    switch (state) {
      case 0: if (c < 96) state = 1; break;
      case 1: if (c >= 192) state = 2; else if (c < 32) { state = 0; words++; } break;
      default: if (c & 1) { state = 0; words++; } break;
    }
  }
  return words;
}

int main(void)
{
  for (unsigned i = 0; i < 256; i++) {
    unsigned value = i;
    for (int bit = 0; bit < 8; bit++) value = (value >> 1) ^ (value & 1 ? 0xedb88320u : 0);
    table[i] = value;
  }
  for (unsigned i = 0; i < sizeof text; i++) text[i] = (unsigned char)(i * 2654435761u >> 24);
  for (unsigned i = 0; i < 1024; i++) {
    nodes[i].value = i;
    nodes[i].next = i == 1023 ? 0 : &nodes[i + 1];
  }
  for (int i = 0; i < 24; i++)
    for (int j = 0; j < 24; j++) { left[i][j] = i + j; right[i][j] = i - j; }

  word first = crc() + list() + matrix() + machine();
  for (int round = 0; round < 2500; round++)
    if (crc() + list() + matrix() + machine() != first) return 1;
  return 0;
}
