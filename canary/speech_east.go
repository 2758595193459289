package canary

var turkish = newSpeech(24, `
{where} {what}
{when} {where}
{when}, {what}
{where} {what}, {say}
{when} {where} {with}
{open}: {where} {what}
{say}, {when} {where}
{with} {what}, {say}
{what} ve {what}, {when}`, `
{love}, {love}, {love}
{role}. {love}
{role} · {love} · {love}
{role} | {love}
{town} · {note}
{note}. {love}
{town}, {role}
{note}`, `
when: pazar sabahı|sakin bir cumartesi|sonunda cuma|yine pazartesi|akşamüstü|hava kararmadan|bu sabah|iş çıkışı|geçen hafta sonu|dün|sıradan bir salı|ilk güneşli gün|öğle arası|gün batarken|üçüncü gün
where: sahilde|ablamlarda|balkonda|pazarda|eve dönerken|mutfakta|iskelede|mahallede|bahçede|köşedeki kafede|eski çarşıda|göl kenarında|tepede|köyde|yolda|parkta|garın arkasında
what: bir kahve|iki çay|uzun yürüyüş|taze ekmek|yeni ayakkabılar|biraz sessizlik|o güzel ışık|anne keki|komşunun kedisi|bir sürü kitap|ilk domatesler|ödünç bisiklet|plansız bir gün|camda yağmur|bir fotoğraf daha|her zamanki masa|altı kişilik çorba
with: köpekle|annemle|eski dostlarla|kimse yokken|komşularla|üşüyen ellerle|termosla|kızlarla|acele etmeden|ailecek
say: filtresiz|iyi geldi|yine yapalım|şikayetim yok|haftaya yine|buna alışabilirim|kim geliyor|hepsi bu|yarın devam|on üzerinden on|şemsiyeyi unuttum|bacaklarım aynı fikirde değil|özlemişim|hala gülüyorum|eskimiyor|değdi
open: bugün|şu an|buldum|plan|kanıt|küçük mutluluklar|anı|özet|not|aklım hâlâ orada
role: hemşire|tarih öğretmeni|bahçıvan|pazar günü fırıncısı|fizyoterapist|iki çocuk annesi|muhasebeci|kütüphaneci|ses teknisyeni|çiçekçi|marangoz|gece vardiyası|ebedi öğrenci|seramikle uğraşır|otobüs şoförü
love: kahve|kitap|deniz|kediler|analog fotoğraf|ağır ağır yemek|yağmurlu günler|yürüyüş|bisiklet|plak|çiçekler|gece trenleri|ev ekmeği|halı saha|bulmaca|eskiciler
note: yolda olmayı severim|kedili hayat|hep açım|yüz yüze daha iyiyim|güneş açınca paylaşır|öğreniyorum|acelem yok|günü gününe|dans edemem|çabuk dağılırım|biraz deniz biraz şehir|mutfakta deneme yanılma
town: izmir|Bursa|Sinop|Ayvalık|Eskişehir|Trabzon|Mersin|Datça|Edirne|Rize|Antakya|Bodrum`)

var indonesian = newSpeech(24, `
{what} {where}
{when} {where}
{when}, {what}
{what} {where}, {say}
{when} {where} {with}
{open}: {what} {where}
{say}, {when} {where}
{what} {with}, {say}
{what} dan {what}, {when}`, `
{love}, {love}, {love}
{role}. {love}
{role} · {love} · {love}
{role} | {love}
{town} · {note}
{note}. {love}
{role} di {town}
{note}`, `
when: minggu pagi|sabtu santai|akhirnya jumat|senin lagi|sore tadi|sebelum maghrib|pagi ini|pulang kerja|akhir pekan kemarin|kemarin|selasa biasa|hari cerah pertama|jam makan siang|hari ketiga|malam minggu
where: di pantai|di rumah kakak|di teras|di pasar|di jalan pulang|di dapur|pinggir sungai|dekat stasiun|di kebun|di warung pojok|di kampung|di bukit|di taman|tepi danau|di kota lama|di belakang rumah|dekat jembatan
what: kopi dulu|dua gelas teh|jalan kaki jauh|roti hangat|sepatu baru|sejam tenang|cahaya sore|kue buatan ibu|kucing tetangga|buku kebanyakan|panen tomat pertama|sepeda pinjaman|tanpa rencana|hujan di jendela|satu foto lagi|meja biasa|soto buat berenam
with: sama ibu|sama teman lama|bareng tetangga|sendirian aja|tanpa sinyal|bareng keluarga|sama si kucing|pelan-pelan|sambil ngantuk|bareng sepupu
say: tanpa filter|seadanya aja|minggu depan lagi|ga nyesel|butuh ini|betah di sini|siapa ikut|segitu dulu|besok lagi|sepuluh dari sepuluh|lupa bawa payung|kaki protes|masih senyum|kangen suasana ini|ga pernah bosan|lumayan
open: hari ini|sekarang|nemu ini|rencana|bukti|hal kecil|kenangan|catatan|suasana|masih kepikiran
role: perawat|guru sejarah|tukang kebun|bikin roti hari minggu|sopir bus|ibu dua anak|bapak yang masak|pustakawan|akuntan|teknisi suara|penjual bunga|tukang kayu|kerja malam|mahasiswa abadi|belajar keramik
love: kopi|senja|hujan|foto analog|masak pelan|kucing|buku bekas|naik gunung|sepeda|piringan hitam|tanaman|kereta malam|laut|futsal|teka-teki silang|pasar pagi
note: jalan terus|anak pantai|foto seadanya|selalu lapar|lebih seru ketemu langsung|masih belajar|muncul kalau cerah|pelan asal sampai|gampang lupa|ga bisa joget|satu hari satu cerita|antara laut dan kota
town: Bandung|Malang|Solo|Jogja|Padang|Manado|Bogor|Ubud|Semarang|Ambon|Medan|Kupang`)

var hindi = newSpeech(24, `
{where} {what}
{when} {where}
{when}, {what}
{where} {what}, {say}
{when} {where} {with}
{open}: {where} {what}
{say}, {when} {where}
{with} {what}, {say}
{what} aur {what}, {when}`, `
{love}, {love} aur {love}
{role}. {love}
{role} · {love} · {love}
{role} | {love}
{town} · {note}
{note}. {love}
{town} wali life, {love}
{note}`, `
when: sunday subah|aaram wala shanivar|aakhir friday|phir se monday|dhalti shaam|andhera hone se pehle|aaj subah|office ke baad|pichhle weekend|kal|bas ek tuesday|pehli dhoop|lunch break|raat ke aath baje|teesra din
where: nadi kinare|didi ke ghar|balcony mein|bazaar mein|ghar ke raste|rasoi mein|station ke peeche|chhat pe|purani gali mein|jheel ke paas|pahadon mein|nukkad ki tapri pe|bagiche mein|gaon mein|park mein|samundar kinare|pul ke paas
what: ek cup chai|do chai|lambi walk|garam roti|naye joote|thoda sukoon|woh wali roshni|maa ke laddoo|padosi ki billi|bahut saari kitaabein|pehle tamatar|udhaar ki cycle|koi plan nahi|khidki pe baarish|ek aur photo|wahi purani table|chhe logon ka khana
with: maa ke saath|purane doston ke saath|akele hi|padosiyon ke saath|bina network ke|pure parivaar ke saath|dheere dheere|thande haathon se|behnon ke saath|thermos leke
say: no filter|maza aa gaya|phir chalenge|bas yun hi|agle hafte phir|dil khush|kaun aa raha hai|itna hi|kal phir|das mein se das|chhata bhool gaye|pair mana kar rahe hain|yaad rahega|abhi bhi smile|purana nahi hota|kya baat hai
open: aaj|abhi|mil gaya|plan|saboot|chhoti khushiyan|yaadein|mood|note|ab tak soch rahe hain
role: nurse|history teacher|maali at heart|sunday ka baker|physio|do bachchon ki maa|papa jo khana banate hain|librarian|accounts wale|sound engineer|phool wali|carpenter|night shift|hamesha student|mitti ke bartan
love: chai|safar|kitaabein|film camera|ghar ka khana|billiyan|baarish|trekking|cycle|purane gaane|paudhe|raat ki train|gully cricket|samundar|puraani dukaanein|crossword
note: dil se foodie|chai pe charcha|hamesha bhookhe|saamne se behtar|seekh rahe hain|dhoop mein dikhte hain|bas aise hi|dheere chalo|dance mat karwana|ek din ek kahani|thoda shehar thoda gaon|jaldi bhool jaate hain
town: Pune|Jaipur|Indore|Kochi|Shimla|Lucknow|Nagpur|Mysuru|Ranchi|Surat|Udaipur|Guwahati`)
