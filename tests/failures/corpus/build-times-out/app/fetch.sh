echo "waiting for assets.example.org"
exec sleep 30
