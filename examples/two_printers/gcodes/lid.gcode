; Its lid: two seconds
G1 X10 F1200
G1 Y10
G1 X0
G1 Y0
PRINT_END
