#include <brine/salt.h>
