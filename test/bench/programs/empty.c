/* Nothing: its time is what starting and stopping costs, and is taken off the others. */
int main(void) { return 0; }
