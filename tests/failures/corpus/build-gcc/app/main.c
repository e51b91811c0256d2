#include <stdio.h>

int total(void);

int main(void) {
    int unused;
    printf("%d\n", total());
    return 0;
}
