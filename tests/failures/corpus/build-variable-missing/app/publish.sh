echo "preparing"
: "${STRIPE_KEY:?is not set}"
