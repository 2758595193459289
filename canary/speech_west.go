package canary

var english = newSpeech(22, `
{what} {where}
{when} {where}
{when}, {what}
{what} {where}, {say}
{when} {where} {with}
{open}: {what} {where}
{say}, {when} {where}
{what} {with}, {say}
{open}: {what} {with}
{what} and {what}, {when}
{when} and {say}`, `
{role}. {love}
{role} · {love} · {love}
{love}, {love} & {love}
{role} | {love} | {love}
{note}. {love}
{role}, {note}
{town} · {love}
{role} in {town}
{town} → {town}. {note}
{note}`, `
when: sunday morning|sunday evening|a slow saturday|friday at last|monday again|late afternoon|just before dark|early this morning|after work|last weekend|lunch break|the first warm day|a grey tuesday|yesterday|half past eight|day three
where: by the river|down at the harbour|at my sister's|in the back garden|on the way home|behind the station|at the market|up on the hill|in the old town|by the lake|at the corner café|along the canal|on the balcony|in the kitchen|out in the fields|somewhere in the north|at the allotment|near the bridge
what: a coffee|two coffees|long walk|new boots|wet shoes|the good light|fresh bread|a quiet hour|leftover cake|one more photo|first tomatoes|a borrowed bike|somebody's cat|the big oak|too many books|soup for six|nothing planned|rain on the window|a very small boat|the usual table
with: with the dog|with mum|with old friends|with my favourite people|with nobody around|with the neighbours|with cold hands|with the kids next door|with a thermos|with no signal
say: no filter|worth the blisters|could get used to this|needed that|same time next week|not complaining|still smiling|who's in next time|ten out of ten|this never gets old|sorry not sorry|more of this please|that's it, that's the post|home by dark|forgot the umbrella|my legs disagree|back tomorrow|no regrets
open: today|currently|note to self|found|plot twist|mood|proof|weekend plan|small joys|status|guess what|still thinking about
role: nurse|teacher by day|gardener|carpenter's daughter|bus driver|part-time baker|physio|night-shift worker|librarian|mum of two|dad, cook, taxi|retired goalkeeper|student of everything|bookkeeper|sound engineer|florist|project person|accidental cyclist|hobby potter|paramedic
love: coffee first|long walks|film photos|sourdough|bad puns|cold water swimming|old maps|allotment life|second-hand books|rainy days|slow cooking|vinyl|dogs over people|trail running|crosswords|house plants|five-a-side|charity shops|crochet|night trains
note: opinions are my dog's|mostly weekends|here for the pictures|learning as I go|posts when it's sunny|somewhere between the sea and the city|trying to be outside more|do not ask me to dance|always hungry|ask me about bees|one day at a time|easily distracted|better in person|left-handed
town: Leeds|Bristol|Cork|Halifax|Perth|Dunedin|Portland|Swansea|Norwich|Duluth|Galway|Hobart`)

var spanish = newSpeech(22, `
{what} {where}
{when} {where}
{when}, {what}
{what} {where}, {say}
{when} {where} {with}
{open}: {what} {where}
{say}, {when} {where}
{what} {with}, {say}
{what} y {what}, {when}`, `
{love}, {love} y {love}
{role}. {love}
{role} · {love} · {love}
{role} | {love}
{town} · {note}
{role} en {town}
de {town} a {town}. {note}
{note}. {love}
{note}`, `
when: domingo por la mañana|tarde de sábado|por fin viernes|otra vez lunes|a última hora|antes de comer|esta mañana|después del trabajo|el finde pasado|ayer|un martes cualquiera|primer día de sol|con la fresca|a media tarde|día tres
where: en la playa|por el barrio|en casa de mi hermana|junto al río|en el mercado|camino a casa|en la terraza|en el pueblo|por el casco viejo|en la cocina|cerca del puerto|en el parque de siempre|subiendo al monte|al lado de la estación|en el bar de la esquina|por la costa|en el balcón
what: un café|dos cañas|paseo largo|pan recién hecho|zapatos nuevos|una siesta pendiente|la luz de siempre|tortilla de mi madre|un rato de calma|los primeros tomates|el gato del vecino|demasiadas fotos|nada que hacer|una bici prestada|lluvia en la ventana|libros y manta|la mesa de siempre
with: con los de siempre|con mi madre|con el perro|sin prisa|con los vecinos|con frío en las manos|sin cobertura|con amigas|con mucho sueño|sin planes
say: sin filtro|no me quejo|esto sí|hacía falta|repetimos pronto|mañana más|qué bien se está|me quedo aquí|valió la pena|así da gusto|otra vez será|se me olvidó el paraguas|las piernas no opinan igual|quién se apunta|poco más que decir|de diez
open: hoy|ahora mismo|plan|encontrado|prueba|pequeñas cosas|recuerdo|resumen|ojo|todavía pensando en
role: enfermera|profe de mates|jardinero|panadera a ratos|conductor de bus|fisio|madre de dos|padre y cocinero|bibliotecaria|contable|técnico de sonido|florista|electricista|trabajo de noche|estudiante de todo|ceramista de domingo
love: viajes cortos|café solo|fotos de carrete|cocina lenta|gatos|libros usados|montaña|días de lluvia|plantas|fútbol sala|vinilos|trenes|crucigramas|playa en invierno|pan casero|bici|conciertos pequeños
note: aprendiz de todo|siempre con hambre|la vida en fotos|sin prisa|subo fotos cuando me acuerdo|entre el mar y la ciudad|mejor en persona|se me da mal bailar|un día a la vez|opino lo que mi perro|cocino los domingos|me distraigo fácil
town: Gijón|Cádiz|Murcia|Rosario|Puebla|Valparaíso|Cuenca|Vigo|Lugo|Mérida|Cali|Huesca`)

var french = newSpeech(22, `
{what} {where}
{when} {where}
{when}, {what}
{what} {where}, {say}
{when} {where} {with}
{open} : {what} {where}
{say}, {when} {where}
{what} {with}, {say}
{what} et {what}, {when}`, `
{love}, {love}, {love}
{role}. {love}
{role} · {love} · {love}
{role} | {love}
{town} · {note}
{role} à {town}
{note}. {love}
de {town} à {town}
{note}`, `
when: dimanche matin|samedi tranquille|enfin vendredi|encore lundi|fin de journée|juste avant la nuit|ce matin tôt|après le boulot|le week-end dernier|hier|un mardi gris|premier jour de soleil|pause de midi|vers dix-huit heures|jour trois
where: au bord de l'eau|chez ma sœur|sur le balcon|au marché|sur le chemin du retour|dans la cuisine|derrière la gare|au village|dans le vieux quartier|près du port|en forêt|au café du coin|le long du canal|dans le jardin|en haut de la colline|côté mer|au potager
what: un café|deux cafés|longue balade|du pain frais|de nouvelles chaussures|une heure de calme|la belle lumière|la tarte de maman|le chat du voisin|trop de livres|les premières tomates|un vélo prêté|rien de prévu|la pluie au carreau|une photo de plus|la table habituelle|soupe pour six
with: avec le chien|entre copines|avec maman|sans personne|avec les voisins|les mains gelées|sans réseau|avec les copains d'avant|sans se presser|avec un thermos
say: sans filtre|ça fait du bien|on remet ça|je m'y ferais|rien à redire|à refaire|demain on recommence|je ne regrette rien|qui vient la prochaine fois|c'est tout pour aujourd'hui|parapluie oublié|mes jambes protestent|dix sur dix|ça ne lasse pas|rentrés à la nuit|encore un peu
open: aujourd'hui|en ce moment|trouvé|la preuve|petit bonheur|programme|souvenir|bilan|note pour plus tard|humeur
role: infirmière|prof d'histoire|jardinier|boulanger le dimanche|kiné|maman de deux|papa cuisinier|bibliothécaire|comptable|ingé son|fleuriste|menuisier|conductrice de bus|travail de nuit|potière du week-end|étudiante en tout
love: café noir|balades|photos argentiques|cuisine lente|chats|livres d'occasion|jours de pluie|randonnée|vélo|vinyles|plantes|mots croisés|trains de nuit|pain maison|bord de mer|brocantes|petits concerts
note: un peu de tout|toujours en balade|je cuisine, donc je suis|photos du dimanche|mieux en vrai|entre mer et ville|vite distraite|j'apprends en route|toujours faim|les avis sont de mon chien|un jour après l'autre|je danse mal
town: Brest|Nantes|Liège|Pau|Annecy|Namur|Sète|Dijon|Rouen|Lausanne|Vannes|Tours`)

var portuguese = newSpeech(22, `
{what} {where}
{when} {where}
{when}, {what}
{what} {where}, {say}
{when} {where} {with}
{open}: {what} {where}
{say}, {when} {where}
{what} {with}, {say}
{what} e {what}, {when}`, `
{love}, {love} e {love}
{role}. {love}
{role} · {love} · {love}
{role} | {love}
{town} · {note}
{role} em {town}
{note}. {love}
de {town} pra {town}
{note}`, `
when: domingo de manhã|sábado sem pressa|enfim sexta|segunda de novo|fim de tarde|antes do almoço|hoje cedo|depois do trabalho|fim de semana passado|ontem|uma terça qualquer|primeiro dia de sol|hora do café|já de noite|dia três
where: na praia|na casa da minha irmã|na varanda|na feira|no caminho de casa|na cozinha|perto do rio|no centro antigo|no sítio|na padaria da esquina|no quintal|atrás da estação|na serra|beira-mar|no parque de sempre|pelo bairro|no mercado
what: um cafezinho|dois cafés|caminhada longa|pão quentinho|tênis novo|uma hora de sossego|a luz de sempre|bolo da minha mãe|o gato do vizinho|livro demais|os primeiros tomates|bicicleta emprestada|nada planejado|chuva na janela|mais uma foto|a mesa de sempre|sopa pra seis
with: com o cachorro|com a mãe|com os de sempre|sem ninguém por perto|com os vizinhos|com as amigas|sem sinal|sem pressa|com muito sono|com a família toda
say: sem filtro|não reclamo|precisava disso|semana que vem tem mais|dava pra morar aqui|valeu cada passo|quem vem na próxima|é isso|amanhã tem mais|nota dez|esqueci o guarda-chuva|minhas pernas discordam|simples assim|ainda sorrindo|que saudade disso|bora repetir
open: hoje|agora|achado|plano|prova|lembrança|pequenas coisas|resumo|humor|ainda pensando em
role: enfermeira|professora de história|jardineiro|padeira de domingo|motorista de ônibus|fisio|mãe de dois|pai e cozinheiro|bibliotecária|contador|técnico de som|florista|marceneiro|turno da noite|estudante de tudo|ceramista
love: praia|café|plantas|fotos de filme|cozinha sem pressa|gatos|livros usados|dias de chuva|trilha|vinil|bicicleta|viagem curta|pão caseiro|futebol de várzea|feira de domingo|palavra cruzada|samba
note: vivendo devagar|sempre com fome|fotos sem pressa|melhor ao vivo|entre livros e viagens|aprendendo no caminho|um dia de cada vez|a opinião é do meu cachorro|distraída|danço mal|apareço quando tem sol|mãe de planta
town: Recife|Braga|Santos|Curitiba|Coimbra|Natal|Faro|Niterói|Olinda|Évora|Maringá|Ilhéus`)

var german = newSpeech(24, `
{what} {where}
{when} {where}
{when}, {what}
{what} {where}, {say}
{when} {where} {with}
{open}: {what} {where}
{say}, {when} {where}
{what} {with}, {say}
{what} und {what}, {when}`, `
{love}, {love}, {love}
{role}. {love}
{role} · {love} · {love}
{role} | {love}
{town} · {note}
{role} in {town}
{note}. {love}
{town} – {town}
{note}`, `
when: sonntagmorgen|samstag ohne plan|endlich freitag|schon wieder montag|spätnachmittag|kurz vor dunkel|heute früh|nach feierabend|letztes wochenende|gestern|ein grauer dienstag|der erste warme tag|mittagspause|halb acht|tag drei
where: am fluss|bei meiner schwester|auf dem balkon|auf dem markt|auf dem heimweg|in der küche|hinterm bahnhof|im garten|in der altstadt|am see|oben am berg|im café an der ecke|am kanal|draußen auf den feldern|an der küste|im schrebergarten|bei den nachbarn|an der brücke
what: ein kaffee|zwei kaffee|lange runde|frisches brot|neue schuhe|nasse füße|das gute licht|eine ruhige stunde|kuchen von mama|die katze von nebenan|zu viele bücher|die ersten tomaten|ein geliehenes rad|nichts vor|regen am fenster|noch ein foto|suppe für sechs|der stammtisch
with: mit hund|mit alten freunden|mit mama|ganz allein|mit kalten händen|mit thermoskanne|ohne netz|mit den kindern von nebenan|ohne eile|mit den lieblingsmenschen
say: ohne filter|hat sich gelohnt|gerne wieder|das musste sein|nächste woche wieder|kann man so lassen|wird nie langweilig|morgen gleich nochmal|wer kommt mit|mehr davon|schirm vergessen|die beine sagen nein|zehn von zehn|zuhause bevor es dunkel war|mehr gibt's nicht zu sagen|könnte ich jeden tag
open: heute|gerade|fundstück|beweis|kleine freuden|plan|merke|stand der dinge|stimmung|denke noch an
role: krankenschwester|lehrer|gärtnerin|sonntagsbäcker|busfahrer|physio|mama von zweien|papa und koch|bibliothekarin|buchhalter|tontechniker|floristin|tischlerin|nachtschicht|studiert noch|töpfert
love: kaffee|berge|analoge fotos|langsam kochen|katzen|alte bücher|regentage|wandern|rad|platten|pflanzen|nachtzüge|sauerteig|meer|flohmarkt|kreuzworträtsel|bolzplatz
note: mal hier, mal da|meistens wochenende|immer hunger|in echt netter|zwischen stadt und meer|lerne noch|meinung vom hund|leicht abgelenkt|ein tag nach dem andern|tanzt schlecht|postet bei sonne|fotos vom wochenende
town: Kiel|Ulm|Graz|Jena|Chur|Bremen|Linz|Husum|Kassel|Bern|Trier|Rostock`)
