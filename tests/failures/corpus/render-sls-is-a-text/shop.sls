settings and database come later
